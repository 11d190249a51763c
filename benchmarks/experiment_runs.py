"""One experiment with one seed: its commands in processes of their own, and the file of results."""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps import strict_json
from apps.atomic import write_atomically
from benchmarks.experiment import Experiment
from benchmarks.machine import about_machine

CHECKOUT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results/applications"
_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")
Result = dict[str, Any]


class CommandError(Exception):
    """A command ended with an error; the message is the end of what it said."""


@dataclass(frozen=True)
class Done:
    """What a command printed, and what it took."""

    output: str
    seconds: float
    cpu_seconds: float


# Runs the arguments of `python`; everything that is said goes to the end of the log.
Runner = Callable[[Sequence[str], Path], Done]


def read_results(folder: Path = RESULTS) -> dict[tuple[str, int], Result]:
    """All results by the name of the experiment and the seed."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    return {(one["experiment"], one["seed"]): one for one in found}


def shown(experiment: Experiment, seed: int) -> list[str]:
    """The commands as a reader types them."""
    return [shlex.join(["python", *words]) for words in experiment.commands(seed)]


def is_done(experiment: Experiment, seed: int, results: Mapping[tuple[str, int], Result]) -> bool:
    """Whether it was run, here and by the same commands."""
    result = results.get((experiment.name, seed), {})
    return "transcribed" not in result and result.get("commands") == shown(experiment, seed)


def run_process(arguments: Sequence[str], log: Path) -> Done:
    """Run `python ARGUMENTS` in the checkout; Ctrl-C is passed on once, and its end waited for.

    Raises:
        KeyboardInterrupt: there was a Ctrl-C; the command has ended in its own time.
        CommandError: the command ended with an error.
    """
    began, used = time.monotonic(), _children()
    with log.open("ab") as said:
        before = said.tell()
        # In a group of its own, since a second Ctrl-C would cut a training off in mid-step.
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            process_group=0,
            close_fds=False,  # The lock of the runs is theirs too.
        )
        try:
            output, _ = process.communicate()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
    if process.returncode == 130:
        raise KeyboardInterrupt
    if process.returncode:
        lines = log.read_bytes()[before:].decode(errors="replace").strip().splitlines()
        told = " / ".join(lines[-3:]) or "it said nothing"
        raise CommandError(f"exit code {process.returncode}: {told}")
    return Done(output.decode(), time.monotonic() - began, _children() - used)


def run(
    experiment: Experiment,
    seed: int,
    *,
    data: Path,
    runs: Path,
    results: Path = RESULTS,
    runner: Runner = run_process,
) -> Result:
    """Train and measure, or go on where that was interrupted, and write the result.

    Args:
        experiment: which one.
        seed: of the training.
        data: the data folder.
        runs: holds the run folder until the result is written.
        results: where `NAME-seedN.json` is written.
        runner: runs a command.

    Raises:
        KeyboardInterrupt: interrupted; the next call goes on.
        CommandError: a command failed.
    """
    # Commands run in the checkout, wherever this was started.
    data, runs = data.resolve(), runs.resolve()
    label, commands = f"{experiment.name}-seed{seed}", shown(experiment, seed)
    folder, log = runs / label, runs / f"{label}.log"
    begun = folder / "begun.json"
    state: dict[str, Any] = json.loads(begun.read_text()) if begun.is_file() else {}
    if state.get("commands") != commands:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "made").mkdir(parents=True)
        about = about_machine(*_PACKAGES)
        state = {"commands": commands, "machine": about, "seconds": 0.0, "cpu_seconds": 0.0}
        if experiment.made:
            experiment.made(data, folder / "made")
        _write(begun, state)
    places = {"DATA": data, "MADE": folder / "made", "RUN": folder / "run"}
    measured: list[Result] = []
    for number, words in enumerate(experiment.commands(seed)):
        arguments = [_placed(word, places) for word in words]
        counts = number == 0
        if words[2] == "train":
            arguments.append("--resume")
        began, used = time.monotonic(), _children()
        try:
            done = runner(arguments, log)
        except KeyboardInterrupt:
            if counts:
                state["seconds"] += time.monotonic() - began
                state["cpu_seconds"] += _children() - used
                _write(begun, state)
            raise
        if counts:
            state["seconds"] += done.seconds
            state["cpu_seconds"] += done.cpu_seconds
            _write(begun, state)
        if words[2] != "train":
            measured.append(_measured(experiment, done.output))
    result = {
        "experiment": experiment.name,
        "application": experiment.application,
        "seed": seed,
        "commands": commands,
        "minutes": round(state["seconds"] / 60, 1),
        "cpu_minutes": round(state["cpu_seconds"] / 60, 1),
        **_of_run(folder / "run"),
        "machine": {**state["machine"], "load_at_the_end": round(os.getloadavg()[0], 1)},
        "measured": {
            one.on: found for one, found in zip(experiment.evaluations, measured, strict=True)
        },
    }
    results.mkdir(parents=True, exist_ok=True)
    _write(results / f"{label}.json", result)
    shutil.rmtree(folder)
    return result


def _measured(experiment: Experiment, output: str) -> Result:
    """The object that a command printed last, in the form of `apps evaluate --json`."""
    found = json.loads(output.strip().splitlines()[-1])
    if not experiment.module:
        return found
    detectors = found["detectors"]
    own = detectors.pop(experiment.application)
    return {**own, "interval": {}, "examples": found["rows"], "baselines": detectors}


def _of_run(folder: Path) -> dict[str, Any]:
    """What the run folder tells: epochs and revision."""
    found: dict[str, Any] = {}
    if (folder / "history.csv").is_file():
        found["epochs"] = len((folder / "history.csv").read_text().splitlines()) - 1
    if (folder / "environment.json").is_file():
        found["revision"] = json.loads((folder / "environment.json").read_text())["git_revision"]
    return found


def _placed(word: str, places: Mapping[str, Path]) -> str:
    """An argument with the folders that its placeholders stand for."""
    for name, place in places.items():
        word = str(place) if word == name else word.replace(f"{name}/", f"{place}/")
    return word


def _children() -> float:
    """Processor seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write(file: Path, value: Any) -> None:
    write_text(file, strict_json.dumps(value, indent=1) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_atomically(file, lambda stream: stream.write(text.encode()))
