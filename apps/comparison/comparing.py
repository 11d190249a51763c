"""Train every stack on the same rows for the same time, and measure all on rows of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps import environment, strict_json
from apps.atomic import write_atomically
from apps.comparison.conclusion import concluded
from apps.comparison.contenders import Contender, contenders, settings_for
from apps.comparison.page import page_of
from apps.comparison.training import Job, Split, trained
from apps.configuration import STACKS, StackConfig
from apps.data import Examples
from apps.data.sources import SAMPLE
from apps.errors import UserError, nearest
from apps.training.plan import Plan
from apps.training.provenance import describe_environment
from apps.training.run_folder import new_run_folder

USUAL = ("lstm", "gru", "minlstm", "ssm", "transformer")
RESULT, PAGE, _ASKED = "comparison.json", "comparison.html", "asked.json"
# Minutes of each training unless the user says how long all may take.
_MINUTES = 2.0
# Of the application's learning rate, which was chosen for LSTMs: each stack takes what suits it.
_RATES = (1.0, 0.5, 0.2)
_TEST_SHARE, _STRETCHES = 0.2, 5


def compare(
    application: str,
    data: Any = SAMPLE,
    *,
    test: Any = None,
    stacks: Sequence[str] = USUAL,
    seeds: int = 3,
    minutes: float | None = None,
    columns: Mapping[str, str] | None = None,
    since: str | None = None,
    until: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    resume: bool = False,
    log: Callable[[str], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Compare stacks of equal parameters, each trained for equal minutes, with the baselines.

    Each stack first takes the learning rate that suits it, by the validation rows; three are tried
    for a third of a training's minutes each. Then it is trained with each seed, and measured on
    test rows that no training has seen.

    Args:
        application: a name of the catalogue.
        data: a source.
        test: a source to measure on; a fifth of `data` unless given, the last one of series.
        stacks: names of stacks, as the setting `stack` takes them; `lstm` takes part in any case.
        seeds: trainings of each.
        minutes: of all trainings together; 2 for each unless given.
        columns: the application's column names to the source's, where they differ.
        since, until: of series, the rows that count.
        labels: of sensors, a file with the windows that are anomalies.
        seed: the first seed.
        run: the folder of it all; named after application and time unless given.
        resume: go on with a comparison that was interrupted.
        log: takes progress lines; standard error unless given.
        **settings: hyperparameters of the application.

    Returns:
        What `comparison.json` in the folder holds: `stacks`, each with its figures by seed and
        what it costs; `baselines`; `recommendation`.

    Raises:
        UserError: settings, data or folder are at fault.
        KeyboardInterrupt: with everything on disk that `resume` needs.
    """
    say = log or environment.say
    data, test = (list(one) if isinstance(one, Iterator) else one for one in (data, test))
    names = _checked(stacks, seeds, minutes, settings)
    plan = Plan(
        application,
        data,
        columns=columns,
        seed=seed,
        settings=settings,
        since=since,
        until=until,
        labels=labels,
    )
    if not issubclass(plan.kind.Config, StackConfig):
        raise UserError(f"{application}: its model has no stack that could be exchanged")
    folder = Path(run or f"{new_run_folder(application)}-comparison")
    asked = {**plan.describe(), "stacks": names, "seeds": seeds, "minutes": minutes}
    if test is not None:
        asked["test"] = f"{test}" if isinstance(test, str | os.PathLike) else type(test).__name__
    _check_folder(folder, asked, resume)
    learn, split = _split(plan, data, test, (since, until), columns, labels)
    probe = plan.kind(plan.config, plan.seed)
    plan = plan.choosing(probe.settings_for(probe.input.units(learn)))
    _check_divisible(plan, learn)
    say(f"measured on {split.said}")
    found = contenders(plan, learn, names)
    for one in found:
        say(f"{one.stack}: units={one.units}, {one.parameters:,} parameters")
    each = _MINUTES if minutes is None else minutes / (len(names) * (seeds + 1))
    results: dict[str, dict[str, Any]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    begun = strict_json.dumps(asked).encode()
    write_atomically(folder / _ASKED, lambda stream: stream.write(begun))
    for one in found:
        results[one.stack] = _raced(
            one, plan, {**settings, **plan.chosen}, split, folder, each, seeds, say
        )
    conclusion = concluded(plan.kind(plan.config, plan.seed), found, results)
    result = {
        "application": application,
        "test": split.said,
        "minutes_each": each,
        "seeds": [seed + number for number in range(seeds)],
        **conclusion,
        "environment": describe_environment(seed),
    }
    content = strict_json.dumps(result).encode()
    write_atomically(folder / RESULT, lambda stream: stream.write(content))
    page = page_of(result, plan.kind.task.metric(conclusion["metric"])).encode()
    write_atomically(folder / PAGE, lambda stream: stream.write(page))
    say(f"page: {folder / PAGE}")
    return result


def _checked(
    stacks: Sequence[str], seeds: int, minutes: float | None, settings: Mapping[str, Any]
) -> list[str]:
    """The names of the stacks, each once."""
    for name in stacks:
        if name not in STACKS:
            raise UserError(f"unknown stack '{name}'{nearest(name, STACKS)}")
    if "stack" in settings:
        raise UserError("stack: is what is compared; name the stacks with --stacks instead")
    if seeds < 1:
        raise UserError(f"seeds={seeds}: give at least 1")
    if minutes is not None and not 0 < minutes < 1e6:
        raise UserError(f"minutes={minutes}: give a positive number of minutes")
    return list(dict.fromkeys(("lstm", *stacks)))


def _check_folder(folder: Path, asked: Mapping[str, Any], resume: bool) -> None:
    """Know the folder again, or that it can be made; refused data leave none behind."""
    file = folder / _ASKED
    if resume and file.is_file():
        if json.loads(file.read_bytes()) != json.loads(strict_json.dumps(asked)):
            raise UserError(f"{folder}: was started with other settings or data; go on with those")
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is there already; go on with --resume, or name another folder")


def _split(
    plan: Plan,
    data: Any,
    test: Any,
    limits: tuple[str | None, str | None],
    columns: Mapping[str, str] | None,
    labels: str | os.PathLike[str] | None,
) -> tuple[Examples, Split]:
    """The checked rows to learn from, and where those to measure on come from."""
    application = plan.kind(plan.config, plan.seed)
    if application.input.trains_each:
        raise UserError("scope=each: stacks are compared in one model; take scope=shared")
    since, until = limits
    about: dict[str, Any] = {"columns": columns, "labels": labels}
    rows = plan.read()
    checked = application.check(rows, learning=True)
    if test is not None:
        # What cannot be read is refused before anything is trained.
        Plan(plan.application, test, columns=columns, labels=labels).read()
        return checked, Split(data, test, f"{test}", since, until, **about)
    if isinstance(data, str) and data == SAMPLE:
        return checked, Split(SAMPLE, SAMPLE, "another draw of the sample", **about)
    try:
        moment = application.input.origins(rows, _STRETCHES, since is not None)[-2]
    except UserError:
        learn, held_out = application.input.split(checked, _TEST_SHARE, application.task.stratify)
        said = f"{len(held_out)} of {len(checked)} rows, drawn with seed {plan.seed}"
        return learn, Split(learn, held_out, said, columns={}, labels=None)
    earlier = application.input.within(rows, None, moment)
    ordered = Split(data, data, f"rows from {moment} on", since, moment, moment, until, **about)
    return application.check(earlier, learning=True), ordered


def _check_divisible(plan: Plan, learn: Examples) -> None:
    """Refuse rows that every training would refuse, before the first one."""
    application = plan.kind(plan.config, plan.seed)
    try:
        application.input.split(learn, plan.config.validation_fraction, application.task.stratify)
    except UserError:
        raise UserError(
            f"{len(learn)} rows to learn from, once those to measure on are set aside: too few "
            "(or groups or labels too rare) to choose by some of them; add rows"
        ) from None


def _raced(
    one: Contender,
    plan: Plan,
    settings: Mapping[str, Any],
    split: Split,
    folder: Path,
    minutes: float,
    seeds: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What a stack reaches: its learning rate, and what each seed has measured."""
    own = {**settings, **settings_for(one.stack, one.units)}
    judge = plan.kind(plan.config, plan.seed).judge
    usual = plan.config.learning_rate
    rate, best, failed = usual, None, 0
    for share in _RATES:
        name = f"{one.stack}, learning rate {share * usual:.3g}"
        say(f"{name}: trained for {minutes / len(_RATES):.2g} minutes")
        job = Job(
            plan.application,
            split,
            {**own, "learning_rate": share * usual},
            plan.seed,
            minutes / len(_RATES),
            folder / f"{one.stack}-rate-{share:g}",
            measures=False,
        )
        found = trained(job)
        value = None if "failed" in found else found["validation"][judge.name]
        if value is None:
            say(f"{name}: {found.get('failed', f'{judge.name} is undefined')}")
        elif judge.beats(value, best):
            rate, best = share * usual, value
        failed += "failed" in found
    if failed == len(_RATES):
        return {"learning_rate": rate, "runs": [found]}
    runs = []
    for number in range(seeds):
        say(f"{one.stack}, seed {plan.seed + number}: trained for {minutes:.2g} minutes")
        job = Job(
            plan.application,
            split,
            {**own, "learning_rate": rate},
            plan.seed + number,
            minutes,
            folder / f"{one.stack}-seed-{plan.seed + number}",
        )
        runs.append(trained(job))
    return {"learning_rate": rate, "runs": runs}
