"""The command behind `make results`: what runs, what is skipped, and what goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_experiment import MADE_UP

from apps import catalogue
from apps.__main__ import _parser
from apps.commands.training import setting
from apps.errors import UserError
from benchmarks import results
from benchmarks.experiment import Evaluation, Experiment
from benchmarks.experiment_files import without_speaker
from benchmarks.experiment_runs import (
    CommandError,
    Done,
    run_process,
    shown,
)
from benchmarks.experiments import EXPERIMENTS


class FakeRunner:
    """Notes the commands; the one with the number `stops` raises what it is told to."""

    def __init__(self, stops: int = -1, error: BaseException | None = None) -> None:
        self.said: list[list[str]] = []
        self.stops, self.error = stops, error

    def __call__(self, arguments: Sequence[str], log: Path) -> Done:
        self.said.append(list(arguments))
        if len(self.said) - 1 == self.stops and self.error:
            raise self.error
        measured = {"accuracy": 0.75, "interval": {"accuracy": [0.5, 0.9]}, "baselines": {}}
        output = json.dumps(measured) if arguments[2] == "evaluate" else "RUN"
        return Done(f"a line before\n{output}\n", 120.0, 60.0)


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Folders of data, with both files in it, of runs and of results."""
    found = {name: tmp_path / name for name in ("data", "runs", "results")}
    for folder in found.values():
        folder.mkdir()
    for name in ("train", "test"):
        (found["data"] / f"{name}.csv").touch()
    return found


def go(
    places: dict[str, Path], runner: FakeRunner, *chosen: Experiment, seeds: int = 1
) -> list[str]:
    data, runs = places["data"], places["runs"]
    of = {"results": places["results"], "runner": runner}
    return results.run_missing(chosen or (MADE_UP,), seeds, data, runs, **of)  # type: ignore[arg-type]


def test_a_result_says_what_was_run_and_is_not_run_again(places: dict[str, Path]) -> None:
    runner = FakeRunner()
    assert go(places, runner, seeds=2) == []
    train, evaluate, other, _ = runner.said
    data, run = places["data"], places["runs"] / "made-up-seed0/run"
    assert train[:6] == ["-m", "apps", "train", "sentiment", "--data", f"{data}/train.csv"]
    assert train[6:] == ["--epochs", "2", "--seed", "0", "--run", str(run), "--resume"]
    assert evaluate[2:] == ["evaluate", str(run), "--data", f"{data}/test.csv", "--json"]
    assert other[9] == "1"
    found = json.loads((places["results"] / "made-up-seed0.json").read_text())
    assert found["commands"] == shown(MADE_UP, 0)
    assert "--data DATA/train.csv --epochs 2 --seed 0 --run RUN" in found["commands"][0]
    assert (found["minutes"], found["cpu_minutes"], found["seed"]) == (2.0, 1.0, 0)
    assert found["measured"]["ten reviews"]["accuracy"] == 0.75
    assert {"processor", "versions", "load", "load_at_the_end"} <= set(found["machine"])
    assert not run.exists()
    go(places, runner, seeds=2)
    assert len(runner.said) == 4
    go(places, runner, replace(MADE_UP, train="--data DATA/train.csv --epochs 3"))
    assert len(runner.said) == 6
    assert "3" in runner.said[4]


@pytest.mark.parametrize("stops", [0, 1])
def test_what_was_interrupted_goes_on_in_its_run_folder(
    places: dict[str, Path], stops: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(places, FakeRunner(stops, KeyboardInterrupt()))
    assert not list(places["results"].iterdir())
    kept = places["runs"] / "made-up-seed0/run/weights"
    kept.parent.mkdir(exist_ok=True)
    kept.touch()
    runner = FakeRunner()
    seen: list[bool] = []

    def look(arguments: Sequence[str], log: Path) -> Done:
        seen.append(kept.exists())
        return runner(arguments, log)

    of = {"results": places["results"], "runner": look}
    results.run_missing((MADE_UP,), 1, places["data"], places["runs"], **of)  # type: ignore[arg-type]
    assert seen == [True, True]
    minutes = json.loads((places["results"] / "made-up-seed0.json").read_text())["minutes"]
    assert minutes == (2.0 if stops == 0 else 4.0)


def test_what_fails_is_told_and_the_others_run(places: dict[str, Path]) -> None:
    runner = FakeRunner(0, CommandError("exit code 2: error: no"))
    failed = go(places, runner, MADE_UP, replace(MADE_UP, name="other"))
    assert failed == ["made-up, seed 0: exit code 2: error: no"]
    assert [file.name for file in places["results"].iterdir()] == ["other-seed0.json"]


def test_absent_data_are_said_and_skipped(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (places["data"] / "test.csv").unlink()
    runner = FakeRunner()
    sample = replace(
        MADE_UP, name="sample", train="", evaluations=(Evaluation("", "--data sample"),)
    )
    assert go(places, runner, MADE_UP, sample) == []
    said = capsys.readouterr().err
    assert f"skipped: made-up: {places['data']}/test.csv is not there" in said
    assert len(runner.said) == 2


def test_a_command_of_its_own_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run_process(["-c", "print(3)"], log).output == "3\n"
    with pytest.raises(CommandError, match="exit code 2: error: no such file"):
        run_process(
            ["-c", "import sys; sys.exit(print('error: no such file', file=sys.stderr) or 2)"], log
        )
    with pytest.raises(KeyboardInterrupt):
        run_process(["-c", "raise SystemExit(130)"], log)


def test_first_comes_one_seed_of_all() -> None:
    short, long = replace(MADE_UP, name="short"), replace(MADE_UP, name="long", minutes=20)
    assert [(one.name, seed) for one, seed in results.tasks((short, long), None)] == [
        ("short", 0),
        ("long", 0),
        ("short", 1),
        ("short", 2),
    ]


def test_only_known_experiments_are_chosen() -> None:
    assert [one.name for one in results.wanted("nab,imdb", None)] == ["nab", "imdb"]
    assert {one.application for one in results.wanted(None, "stocks")} == {"stocks"}
    with pytest.raises(UserError, match="did you mean 'imdb'"):
        results.wanted("imbd", None)


def test_every_command_is_one_that_the_program_takes() -> None:
    assert len({one.name for one in EXPERIMENTS}) == len(EXPERIMENTS)
    for one in EXPERIMENTS:
        kind = catalogue.load(one.application)
        for words in one.commands(0):
            if one.module:
                continue
            options = _parser().parse_args(words[2:])
            if options.command == "train":
                settings = dict(map(setting, options.settings))
                kind.Config.from_values(
                    settings | ({"epochs": options.epochs} if options.epochs else {})
                )
        if not one.module:
            names = {metric.name for metric in kind.task.metrics}
            assert {one.metric, *one.more} <= names, one.name
    assert {one.application for one in EXPERIMENTS if one.headline} == set(catalogue.APPLICATIONS)
    samples = {one.application for one in EXPERIMENTS if not one.data}
    assert samples == set(catalogue.APPLICATIONS)


def test_a_speaker_is_in_one_manifest_only(tmp_path: Path) -> None:
    folder = tmp_path / "speech/fsdd"
    folder.mkdir(parents=True)
    for name, rows in (("train", "a.wav,1,ann\nb.wav,2,bob\n"), ("test", "c.wav,3,ann\n")):
        (folder / f"{name}.csv").write_text(f"audio,label,speaker\n{rows}")
    without_speaker(tmp_path, tmp_path, speaker="ann")
    train, test = (
        (tmp_path / f"{name}.csv").read_text().splitlines() for name in ("train", "test")
    )
    assert train[1:] == [f"{folder}/b.wav,2,bob"]
    assert test[1:] == [f"{folder}/a.wav,1,ann", f"{folder}/c.wav,3,ann"]
