"""The end of a search: the winner's run is finished, measured once and exported."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import apps
from apps.errors import UserError
from tuning.finals import first_retraining
from tuning.folder import SearchFolder, read_json
from tuning.found import Found
from tuning.record import record_of
from tuning.report import write_page
from tuning.scheduler import LocalScheduler
from tuning.settings import SearchSettings
from tuning.trials.folder import KEPT

Log = Callable[[str], None]


def conclude(folder: SearchFolder, scheduler: LocalScheduler, elapsed: float, log: Log) -> None:
    """Finish the winner's run and write the result.

    Args:
        folder: of the search.
        scheduler: of the search; it has nothing left to hand out.
        elapsed: seconds that the search has taken.
        log: takes progress lines.

    Raises:
        UserError: no trial completed.
    """
    oracle = scheduler.oracle
    record = record_of(
        scheduler.settings, oracle.rows, oracle.finals.chosen, elapsed=elapsed, phase="finals"
    )
    if record.best is None:
        failed = [row for row in record.trials if row.status == "FAILED"]
        raise UserError(
            f"{folder.path}: none of {len(failed)} trials completed; the first failed with: "
            f"{failed[0].reason if failed else 'nothing was tried'}"
        )
    _finish(folder, scheduler, record.best, log)
    result = {
        "best": record.best,
        "finals": [dataclasses.asdict(final) for final in record.finals],
        "run": folder.final.name,
        "elapsed": round(elapsed, 2),
    }
    folder.write_json(folder.result, result)
    shutil.rmtree(folder.path / KEPT, ignore_errors=True)


def measure_and_export(
    folder: SearchFolder,
    settings: SearchSettings,
    export: str | os.PathLike[str] | None,
    log: Log,
) -> Found:
    """Measure the winner on the test source unless that is done, and export it if asked.

    Args:
        folder: of a search that has ended.
        settings: of the search.
        export: a folder of SavedModels, or None.
        log: takes progress lines.
    """
    result = read_json(folder.result)
    if settings.test is not None and "test" not in result:
        measured = apps.load(folder.final).evaluate(
            settings.test,
            columns=settings.columns or None,
            since=settings.test_since,
            until=settings.test_until,
            labels=settings.test_labels,
        )
        result["test"] = {**measured, "source": settings.test}
        folder.write_json(folder.result, result)
        if settings.test_overlap:
            log(
                f"{settings.test}: {settings.test_overlap} of {measured['examples']} test rows are "
                "also among the rows searched on; the figures flatter"
            )
    if export is not None:
        asked = str(Path(export).absolute())
        exported = result.setdefault("exported", {})
        if asked not in exported:
            exported[asked] = str(apps.load(folder.final).export(export, log=log))
            folder.write_json(folder.result, result)
    found = Found(folder.path)
    write_page(found.record, folder.page)
    log(f"report: {folder.page}")
    return found


def _finish(
    folder: SearchFolder, scheduler: LocalScheduler, best: Mapping[str, Any], log: Log
) -> None:
    """Make the winner's run of its first retraining, with baselines and report."""
    rows = scheduler.oracle.rows
    name = first_retraining(rows, best["id"]) if best["seeds"] else best["id"]
    source = folder.run(name)
    # What was trained fold by fold has not seen all rows.
    if not scheduler.settings.folds and not folder.final.exists() and source.is_dir():
        beside = folder.path / f".partial-{folder.final.name}"
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(source, beside)
        beside.rename(folder.final)
    job = scheduler.job_of(scheduler.oracle.trials[name])
    apps.train(
        minutes=job.minutes if job.anneals else None,
        run=folder.final,
        resume=True,
        log=log,
        **job.source,
        **job.values(rows[name].accumulation_steps),
    )
