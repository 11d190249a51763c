"""One contender of `benchmarks.gpu`, in a process of its own.

    python -m benchmarks.gpu_contender ours|keras|"keras without cuDNN"|torch|application

Reads one JSON object a line, a case and a task, and answers each with one line of JSON. Each run
ends with one small copy to the host, which waits for the card.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.engine_contender import Run, make_tensorflow, make_torch, seconds
from benchmarks.gpu_kernels import kernel_milliseconds

# Several of these processes share a card.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


@functools.cache
def _begun(name: str) -> tuple[Any, Any]:
    """An application's training before its first step, and the batch of that step."""
    from apps.training.checkpoints import Position
    from apps.training.plan import Plan
    from apps.training.session import Session

    with tempfile.TemporaryDirectory() as folder:
        session = Session(Plan(name), run=Path(folder) / "run", log=lambda line: None)
        training = session._training
        return training, next(iter(training._batches(Position())))


def make_application(name: str, batch: int) -> Run:
    """A function that makes one training step of an application's default model.

    Args:
        name: of the catalogue.
        batch: rows of the step: those of a batch of its sample, over and over.
    """
    import tensorflow as tf

    training, first = _begun(name)
    rows = tf.range(batch) % tf.shape(next(iter(first.values())))[0]
    tensors = {key: tf.gather(value, rows) for key, value in first.items()}
    states = training.carried.zeros(batch)
    step = training._step
    assert step is not None
    return lambda: step({**tensors, **states})[0].numpy()


def about() -> dict[str, Any]:
    """The devices that TensorFlow found, and the libraries that it was built for."""
    import tensorflow as tf

    built = tf.sysconfig.get_build_info()
    return {
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
        **{name: built.get(name) for name in ("cuda_version", "cudnn_version")},
    }


def main() -> None:
    kind = sys.argv[1]
    prepared: Run | None = None
    for line in sys.stdin:
        case = json.loads(line)
        task = case.pop("task")
        answer: Any = None
        if task == "prepare":
            # The tensors of the case before it go first.
            prepared = None
            if kind == "application":
                prepared = make_application(**case)
            else:
                make = make_torch if kind == "torch" else make_tensorflow(kind, all_results=False)
                names = ("batch", "time", "features", "units", "gradient")
                prepared = make(*(case[name] for name in names))
            for _ in range(3):
                prepared()
        elif task == "about":
            answer = about()
        else:
            assert prepared is not None
            timed = task == "time"
            answer = 1000 * seconds(prepared) if timed else kernel_milliseconds(prepared)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
