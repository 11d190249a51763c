"""A process that sees no GPU: exports there, and answers there, one JSON object a line."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class WithoutGpu:
    """Asks the process; it starts with the first question."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def export(self, run: Path, base: Path) -> Path:
        """The version that it writes of a run, which did not go through the gate."""
        return Path(self._ask("export", str(run), str(base)))

    def answers(self, version: Path, inputs: list[dict[str, Any]], folder: Path) -> list[Any]:
        """What a version answers there."""
        file = folder / "inputs.pickle"
        file.write_bytes(pickle.dumps(inputs))
        return pickle.loads(Path(self._ask("answer", str(version), str(file))).read_bytes())

    def close(self) -> None:
        """End the process."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait()

    def _ask(self, *question: str) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": _path(), "CUDA_VISIBLE_DEVICES": "-1"},
            )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process without a GPU ended over {question}"
        answer = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        return answer["file"]


def _path() -> str:
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(ROOT), *([given] if given else [])])


def _answer(version: str, file: str) -> str:
    from apps.serving.local import LocalModel

    answers = LocalModel(version).predict(pickle.loads(Path(file).read_bytes()))
    target = Path(file).with_name("answers.pickle")
    target.write_bytes(pickle.dumps(answers))
    return str(target)


def _export(run: str, base: str) -> str:
    import apps
    from apps.export import saved_model
    from apps.export.gate import Verdict

    # Any: the gate is replaced, which takes half a minute and is tested beside.
    module: Any = saved_model
    module.verify = lambda folder, log: Verdict(folder, ())
    return str(apps.load(run).export(base, log=lambda line: None))


def main() -> None:
    """Answer until the questions end."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import tensorflow as tf

    assert not tf.config.list_physical_devices("GPU")
    for line in sys.stdin:
        task, *arguments = json.loads(line)
        try:
            answer = {"file": (_export if task == "export" else _answer)(*arguments)}
        except Exception as error:
            answer = {"failed": f"{task}: {type(error).__name__}: {error}"}
        print(json.dumps(answer), file=lines, flush=True)


if __name__ == "__main__":
    main()
