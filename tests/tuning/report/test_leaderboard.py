"""The leaderboard: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import dataclasses
import io
import os
import pty
import re
import threading
import time
from collections.abc import Iterator

import pytest
from searches import HOSTILE, OUT_OF_MEMORY, ended, fail, rows, searching, settings
from waiting import until

from tuning.record import SearchRecord, TrialRow
from tuning.report.leaderboard import Leaderboard, render_leaderboard
from tuning.trials.job import Progress

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
TITLE = "sentiment: bayesian search"
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def after(trials: list[TrialRow], count: int) -> SearchRecord:
    """The search when so many of the trials had ended and the next one ran."""
    done = trials[:count]
    record = searching(done)
    running = [
        dataclasses.replace(row, status="RUNNING", score=None, ended=None)
        for row in trials[count : count + 1]
    ]
    return dataclasses.replace(record, trials=(*done, *running))


# Elsewhere than on a terminal


def test_each_trial_that_ends_gets_one_line() -> None:
    trials, stream = rows(9), io.StringIO()
    with Leaderboard(settings(), stream) as board:
        board.update(after(trials, 0), {})
        for count in (1, 1, 4, 9):
            board.update(after(trials, count), {})
        board.line("a line [bold]of its own[/bold]")
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines[:9]] == [row.id for row in trials]
    first = trials[0]
    assert lines[0].replace("\u202f", " ") == (
        f"trial 0000 accuracy {first.score:.4f} (best {first.score:.4f} of 0000) "
        f"{first.seconds:.0f} s learning_rate 0.003 batch_size 32 depth 1 units 128 "
        "bidirectional no"
    )
    assert lines[7].startswith("trial 0007 FAILED after ")
    assert OUT_OF_MEMORY in lines[7]
    assert lines[9] == "a line [bold]of its own[/bold]"
    assert len(lines) == 10
    assert not CONTROL.search(stream.getvalue())


def test_what_had_ended_before_is_summed_up() -> None:
    trials, stream = rows(5), io.StringIO()
    with Leaderboard(settings(), stream) as board:
        resumed = after(trials, 4)
        board.update(dataclasses.replace(resumed, elapsed=resumed.elapsed + 60), {})
        later = dataclasses.replace(trials[4], ended=resumed.elapsed + 61)
        board.update(searching([*trials[:4], later]), {})
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("4 trials ended before; best ")
    assert lines[1].startswith("trial 0004 accuracy")
    assert len(lines) == 2


def test_the_finals_are_announced_once() -> None:
    stream, record = io.StringIO(), searching(rows(1))
    with Leaderboard(settings(), stream) as board:
        for phase in ("searching", "finals", "finals"):
            board.update(dataclasses.replace(record, phase=phase), {})
    assert stream.getvalue().count("finals: ") == 1


def test_a_log_takes_the_lines_in_place_of_the_stream() -> None:
    stream, lines = io.StringIO(), list[str]()
    with Leaderboard(settings(), stream, log=lines.append) as board:
        board.update(searching(rows(1)), {})
        board.line("noted")
    assert lines[0].startswith("trial 0000 accuracy")
    assert lines[1:] == ["noted"]
    assert stream.getvalue() == ""


def test_hostile_reasons_and_values_print_no_control_codes() -> None:
    stream = io.StringIO()
    row = fail(rows(1)[0], HOSTILE + "\nforged trial 0001 accuracy 1.0")
    with Leaderboard(settings(), stream) as board:
        board.update(searching([row]), {})
    assert len(stream.getvalue().splitlines()) == 1
    assert not CONTROL.search(stream.getvalue())
    assert not CONTROL.search(render_leaderboard(searching([row])))
    assert "[bold]" in render_leaderboard(searching([row]))


def test_an_interrupt_leaves_the_leaderboard_so_far() -> None:
    stream = io.StringIO()

    def interrupted() -> None:
        with Leaderboard(settings(), stream) as board:
            board.update(searching(rows(12)), {})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().endswith(render_leaderboard(searching(rows(12))) + "\n")


# As text


def test_the_text_names_winner_ranking_finals_and_failures() -> None:
    record = ended()
    text = render_leaderboard(record).replace("\u202f", " ")
    winner = record.finals[0]
    assert text.splitlines()[0].startswith(
        "sentiment: bayesian search ended, 22 completed, 2 failed; "
    )
    assert f"Best {winner.mean:.4f} ± 0.0010 over 3 seeds of {winner.trial}" in text
    ranked = re.findall(r"^ ?(\d+)   (\d{4}) ", text, flags=re.MULTILINE)
    assert ranked == [
        (str(place), row.id) for place, row in enumerate(record.leaderboard()[:10], start=1)
    ]
    assert "learning_rate=0.003" in render_leaderboard(searching(rows(1)))
    assert re.search(r"^0000 +\d+\.\d\d % +0\.10 points +3$", text, flags=re.MULTILINE)
    assert f"1 failed: {OUT_OF_MEMORY} at step 7" in text
    assert max(map(len, text.splitlines())) <= 110
    assert not CONTROL.search(text)


def test_the_text_of_a_search_that_found_nothing() -> None:
    assert "None completed yet" in render_leaderboard(searching([]))
    failed = [fail(row, f"reason {'abcde'[n]}") for n, row in enumerate(rows(5))]
    text = render_leaderboard(searching(failed))
    assert "1 failed: reason a" in text
    assert "2 failed for other reasons" in text
    over = [dataclasses.replace(row, feasible=False) for row in rows(2)]
    assert "None within the budget yet" in render_leaderboard(searching(over))


# On a terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[io.TextIOWrapper, list[bytes]]]:
    """The write end of a terminal of 100 columns, and what has been written to it."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    reader, writer = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while chunk := os.read(reader, 65536):
                shown.append(chunk)
        except OSError:
            pass  # The other end has been closed, which a terminal reports as an error.

    thread = threading.Thread(target=read)
    thread.start()
    stream = os.fdopen(writer, "w", encoding="utf-8")
    yield stream, shown
    stream.close()
    thread.join()
    os.close(reader)


def test_a_terminal_gets_a_table_redrawn_twice_a_second_at_most(
    terminal: tuple[io.TextIOWrapper, list[bytes]],
) -> None:
    stream, shown = terminal
    trials = rows(12)

    def plain() -> str:
        text = b"".join(shown).decode(errors="replace")
        return ESCAPE.sub("", text).replace("\u202f", " ")

    def last() -> str:
        return plain()[plain().rindex(TITLE) :]

    began = time.monotonic()
    with Leaderboard(settings(), stream) as board:
        until(lambda: TITLE in plain())
        for count in range(1, 13):
            for _ in range(10):
                board.update(
                    after(trials, count), {"0012": ("local-0", Progress(3, 30, 0.8123, 20.0))}
                )
        board.line("a line [bold]of its own[/bold]")
        until(lambda: "11 completed, 1 failed" in last() and OUT_OF_MEMORY in last())
        assert "a line [bold]of its own[/bold]" in plain()
        found = last()
    took = time.monotonic() - began
    # One for each half second, one for the start, one for the line, one for the end.
    assert 2 <= plain().count(TITLE) <= 2 * took + 4
    assert re.search(r"0012 +local-0 +3 +81\.23 % +20 s", found)
    assert "11 completed, 1 failed, 40 asked for" in found
    assert " left" in found.splitlines()[0]
    assert len(re.findall(r"^ ?\d+ +00\d\d ", found, flags=re.MULTILINE)) == len(
        searching(trials).leaderboard()[:10]
    )
    assert f"1 failed: {OUT_OF_MEMORY}" in found
    assert all(len(line.rstrip()) <= 100 for line in found.splitlines())
