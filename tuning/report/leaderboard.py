"""The leaderboard: a live table on a terminal, elsewhere a line for each trial that ends."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from apps.report.quantities import MISSING, capital, duration, excerpt, finite, words
from tuning.record import SearchRecord, TrialRow
from tuning.report.columns import columns, searched, short
from tuning.report.objective import Objective
from tuning.report.table import milliseconds, remarks
from tuning.settings import SearchSettings
from tuning.trials.job import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

Running = Mapping[str, tuple[str, Progress]]
_TOP = 10
_PLAIN_WIDTH = 110


class Leaderboard:
    """What a search shows while it runs; a context manager.

    On a terminal it is a table, redrawn at most twice a second and removed at the end. Elsewhere it
    is one line for each trial that ends, without control codes. In either case an interrupt leaves
    the leaderboard so far.

    Args:
        settings: what was asked for.
        stream: where to show it; standard error unless given.
        log: takes the lines in place of the stream; then there is no table.
    """

    def __init__(
        self,
        settings: SearchSettings,
        stream: TextIO | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._stream = sys.stderr if stream is None else stream
        self._log = log
        self._began = time.monotonic()
        self._record = SearchRecord(settings, ())
        self._as_of = self._began
        self._running: Running = {}
        self._told: set[str] | None = None
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._log is None and self._stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(file=self._stream, highlight=False),
                get_renderable=self._view,
                refresh_per_second=2,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if kind is KeyboardInterrupt:
            self.line(render_leaderboard(self._record))

    def update(self, record: SearchRecord, running: Running) -> None:
        """Show a new state of the search.

        Args:
            record: the search.
            running: worker and progress of each running trial, by its id.
        """
        with self._lock:
            entered = record.phase == "finals" and self._record.phase == "searching"
            self._record, self._running, self._as_of = record, dict(running), time.monotonic()
            if self._live is None:
                self._tell_ended(record)
                if entered:
                    self._print("finals: the best trials are trained again with fresh seeds")

    def line(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(text))
            return
        with self._lock:
            self._print(text)

    def _print(self, text: str) -> None:
        if self._log is not None:
            self._log(text)
            return
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _tell_ended(self, record: SearchRecord) -> None:
        """A line for each trial that has ended since the last call."""
        ended = [row for row in record.trials if row.status != "RUNNING"]
        if self._told is None:
            # Trials that ended before this process resumed the search need no line of their own.
            start = record.elapsed - (self._as_of - self._began)
            earlier = [row for row in ended if row.ended is not None and row.ended < start - 1]
            self._told = {row.id for row in earlier}
            if earlier:
                self._print(f"{len(earlier)} trials ended before; {_best(record)}")
        for row in sorted(ended, key=lambda row: row.ended or 0.0):
            if row.id not in self._told:
                self._told.add(row.id)
                self._print(_told(row, record))

    def _view(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            record, running = self._record, self._running
            elapsed = record.elapsed + time.monotonic() - self._as_of
        parts: list[RenderableType] = [Text(_clock(record, elapsed), style="bold")]
        if record.leaderboard():
            parts.append(_ranking(record, fold=False))
        if running:
            parts.append(_trials_running(running, Objective.of(record.settings)))
        parts += [Text(line, style="yellow") for line in _failures(record)]
        return Group(*parts)


def render_leaderboard(record: SearchRecord) -> str:
    """The leaderboard as plain text: the winner, the ten best, the finals, what failed.

    Args:
        record: a search at any stage.

    Returns:
        Lines without control codes.
    """
    from rich.console import Console
    from rich.text import Text

    text = io.StringIO()
    console = Console(file=text, width=_PLAIN_WIDTH, color_system=None, force_terminal=False)
    console.print(Text(_clock(record, record.elapsed)))
    console.print(Text(capital(_best(record))))
    if record.leaderboard():
        console.print(_ranking(record, fold=True))
    if record.finals:
        console.print(_retrained(record))
    for line in _failures(record):
        console.print(Text(line))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _told(row: TrialRow, record: SearchRecord) -> str:
    """One line on a trial that has ended."""
    active = columns(row.values)
    names = [name for name in searched(record) if name in active]
    values = " ".join(f"{name} {short(active[name])}" for name in names)
    took, said = duration(row.seconds), remarks(row)
    if row.status == "FAILED":
        return excerpt(f"trial {row.id} FAILED after {took}: {said}; {values}", 600)
    result = f"{record.settings.objective} {_score(row.score)} ({_best(record)})"
    return excerpt(f"trial {row.id} {result} {took} {values}" + (f"; {said}" if said else ""), 600)


def _best(record: SearchRecord) -> str:
    """The best so far in a few words."""
    ranked = record.leaderboard()
    if record.best is not None and (record.best.get("seeds") or 0) > 0:
        spread = f" ± {_score(record.best.get('spread'))}"
        seeds = f"over {record.best['seeds']} seeds"
        return f"best {_score(record.best.get('score'))}{spread} {seeds} of {record.best['id']}"
    if not ranked:
        return "none within the budget yet" if _scored(record) else "none completed yet"
    return f"best {_score(ranked[0].score)} of {ranked[0].id}"


def _scored(record: SearchRecord) -> bool:
    return any(row.score is not None for row in record.trials)


def _clock(record: SearchRecord, elapsed: float) -> str:
    """How many are done and failed, and the time gone and left."""
    settings = record.settings
    statuses = Counter(row.status for row in record.trials)
    done = f"{statuses['COMPLETED']} completed, {statuses['FAILED']} failed"
    if record.phase == "searching" and settings.trials is not None:
        done += f", {settings.trials} asked for"
    left = ""
    if record.phase != "done" and settings.minutes is not None:
        left = f", {duration(max(0.0, 60 * settings.minutes - elapsed))} left"
    phase = {"searching": "search", "finals": "finals", "done": "search ended"}[record.phase]
    return (
        f"{settings.application}: {settings.algorithm} {phase}, {done}; "
        f"{duration(elapsed)} gone{left}"
    )


def _ranking(record: SearchRecord, *, fold: bool) -> Table:
    """The ten best; long hyperparameters are folded or, to fit a screen, cut off."""
    objective = Objective.of(record.settings)
    names = searched(record)
    table = _table(("", "right"), ("trial", "left"), (words(objective.name), "right"))
    for title in ("epochs", "time", "latency"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("hyperparameters", overflow="fold")
    for place, row in enumerate(record.leaderboard()[:_TOP], start=1):
        values = columns(row.values)
        chosen = _plain(" ".join(f"{n}={short(values[n])}" for n in names if n in values), 400)
        chosen.no_wrap, chosen.overflow = not fold, "fold" if fold else "ellipsis"
        table.add_row(
            str(place),
            _plain(row.id, 16),
            objective.written(row.score),
            str(row.epochs),
            duration(row.seconds),
            milliseconds(row.cost.get("latency_ms")),
            chosen,
            style="bold" if place == 1 else None,
        )
    return table


def _retrained(record: SearchRecord) -> Table:
    objective = Objective.of(record.settings)
    table = _table(("retrained", "left"), ("mean", "right"), ("±", "right"), ("seeds", "right"))
    for one in record.finals:
        table.add_row(
            _plain(one.trial, 16),
            objective.written(one.mean),
            objective.width(one.spread),
            str(len(one.scores)),
        )
    return table


def _trials_running(running: Running, objective: Objective) -> Table:
    table = _table(("running", "left"), ("worker", "left"), ("epoch", "right"), ("score", "right"))
    table.add_column("time", justify="right", no_wrap=True)
    for trial, (worker, progress) in sorted(running.items()):
        table.add_row(
            _plain(trial, 20),
            _plain(worker, 24),
            str(progress.epoch),
            objective.written(progress.score),
            duration(progress.seconds),
        )
    return table


def _failures(record: SearchRecord) -> list[str]:
    """A line for each of the three most frequent reasons."""
    reasons = Counter(excerpt(r.reason, 160) for r in record.trials if r.status == "FAILED")
    lines = [f"{count} failed: {reason}" for reason, count in reasons.most_common(3)]
    if len(reasons) > len(lines):
        others = sum(reasons.values()) - sum(count for _, count in reasons.most_common(3))
        lines.append(f"{others} failed for other reasons")
    return lines


def _table(*titles: tuple[str, Any]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, expand=False)
    for title, justify in titles:
        table.add_column(title, justify=justify, no_wrap=True)
    return table


def _plain(text: str, limit: int) -> Text:
    """A text in which rich finds no markup."""
    from rich.text import Text

    return Text(excerpt(text, limit))


def _score(value: Any) -> str:
    """A score as `0.8123`, whatever its unit, since programs read these lines too."""
    return f"{value:.4f}" if finite(value) else MISSING
