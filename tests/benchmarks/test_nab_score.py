"""NAB's score: its rules by hand, its published numbers, and what a bad folder is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.errors import UserError
from benchmarks.nab_score import (
    PROFILES,
    Floats,
    LabelledSeries,
    alarms,
    probation,
    read_corpus,
    score,
)

CORPUS = Path(__file__).parents[3] / "shared/data/timeseries/nab"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="NAB's files are not there")
START = np.datetime64("2024-01-01T00:00")


def series(rows: int, *windows: tuple[int, int]) -> LabelledSeries:
    times = START + np.arange(rows) * np.timedelta64(5, "m")
    return LabelledSeries("made.csv", times, np.zeros(rows), windows)


def raised(rows: int, *at: int) -> Floats:
    scores = np.zeros(rows)
    scores[list(at)] = 1.0
    return scores


def first_rows(corpus: list[LabelledSeries]) -> list[Floats]:
    return [raised(len(one.values), *(start for start, _ in one.windows)) for one in corpus]


def slow_total(
    corpus: list[LabelledSeries], scores: list[Floats], threshold: float, profile: str
) -> float:
    """The rules, row by row, for one threshold."""
    found, false, missed = PROFILES[profile]
    total = 0.0
    for one, of_file in zip(corpus, scores, strict=True):
        begin = probation(len(of_file))
        open_windows = list(one.windows)
        for row in range(begin, len(of_file)):
            if of_file[row] < threshold:
                continue
            inside = [window for window in one.windows if window[0] <= row <= window[1]]
            if inside:
                start, end = inside[0]
                if inside[0] in open_windows:
                    # The first alarm in a window is its best.
                    open_windows.remove(inside[0])
                    place = -(end - row + 1) / (end - start + 1)
                    total += found * np.tanh(-2.5 * place) / np.tanh(2.5)
                continue
            before = [window for window in one.windows if window[1] < row]
            far = (row - before[-1][1]) / (before[-1][1] - before[-1][0]) if before else 3.0
            total += false * (np.tanh(-2.5 * far) if far < 3 else -1.0)
        total -= missed * len(open_windows)
    return total


def test_probation_ends_at_750_rows() -> None:
    assert [probation(rows) for rows in (0, 6, 7, 4999, 5000, 22_695)] == [0, 0, 1, 749, 750, 750]


def test_nothing_raised_is_0_and_each_first_row_is_100() -> None:
    corpus = [series(100, (20, 29), (60, 69)), series(50), series(200, (100, 100))]
    nothing = score(corpus, [np.zeros(len(one.values)) for one in corpus])
    everything = score(corpus, first_rows(corpus))
    for profile in PROFILES:
        assert nothing[profile]["score"] == 0
        assert (nothing[profile]["found"], nothing[profile]["false_alarms"]) == (0, 0)
        assert nothing[profile]["threshold"] == np.inf
        assert everything[profile] == {
            "score": pytest.approx(100),
            "threshold": 1.0,
            "found": 3,
            "false_alarms": 0,
        }


def test_rows_count_as_in_a_published_result() -> None:
    # Rows of a window of 55 and of the row behind it, as NAB's own result files give them.
    corpus = [series(1643, (340, 394))]

    def total(*at: int) -> float:
        return float(score(corpus, [raised(1643, *at)])["standard"]["score"]) * 2 / 100 - 1

    assert total(341) == pytest.approx(0.9987182648960562)
    assert total(394) == pytest.approx(0.046039538050873234)
    assert total(341, 350, 394) == pytest.approx(0.9987182648960562)
    assert total(341, 395) == pytest.approx(0.9987182648960562 - 0.005088957311457073)
    assert total(341, 448) == pytest.approx(0.9987182648960562 - 0.11 * np.tanh(2.5))
    assert total(341, 300) == pytest.approx(0.9987182648960562 - 0.11)
    assert total(341, 1000) == pytest.approx(0.9987182648960562 - 0.11)
    assert total(341, 245) == pytest.approx(0.9987182648960562)  # In the probation.


def test_false_alarms_and_misses_weigh_by_profile() -> None:
    corpus = [series(100, (20, 29), (60, 69))]
    found = score(corpus, [raised(100, 20, 18)])
    # One of two windows found at its first row, one false alarm before it.
    assert found["standard"]["score"] == pytest.approx(100 * (2 - 0.11) / 4)
    assert found["low_fp"]["score"] == pytest.approx(100 * (2 - 0.22) / 4)
    assert found["low_fn"]["score"] == pytest.approx(100 * (3 - 0.11) / 6)
    for profile in PROFILES:
        assert (found[profile]["found"], found[profile]["false_alarms"]) == (1, 1)


def test_the_best_threshold_is_that_of_a_slow_loop() -> None:
    corpus = [series(90, (20, 31), (40, 42)), series(70), series(120, (17, 30), (31, 50))]
    generator = np.random.default_rng(0)
    for lifted in (0.0, 0.2, 0.5, 1.0):
        # Far fewer scores than rows, so that many are equal.
        scores = [
            np.round(generator.beta(1, 6, len(one.values)), 2) + lifted * first
            for one, first in zip(corpus, first_rows(corpus), strict=True)
        ]
        thresholds = [np.inf, *sorted(set(np.concatenate(scores)), reverse=True)]
        results = score(corpus, scores)
        for profile, (found, _, missed) in PROFILES.items():
            totals = [slow_total(corpus, scores, limit, profile) for limit in thresholds]
            best = int(np.argmax(totals))
            assert results[profile]["threshold"] == thresholds[best]
            normalised = (totals[best] + 4 * missed) / (4 * (found + missed))
            assert results[profile]["score"] == pytest.approx(100 * normalised)


def test_scores_must_fit_the_rows() -> None:
    for scores in (np.zeros(9), np.full(10, np.nan)):
        with pytest.raises(ValueError, match=r"made\.csv: scores must be 10 numbers"):
            score([series(10, (5, 6))], [scores])


def test_an_event_raises_one_alarm() -> None:
    scores = np.array([0.1, 0.5, 0.5, 0.4, 0.6, 0.2, 0.3, 0.3, 0.4])
    raised_once = alarms(scores, quiet=3)
    np.testing.assert_array_equal(raised_once, [0.1, 0.5, 0, 0, 0.6, 0, 0, 0, 0.4])
    np.testing.assert_array_equal(alarms(raised_once, quiet=3), raised_once)
    np.testing.assert_array_equal(alarms(scores[:5], quiet=3), raised_once[:5])


@pytest.mark.data
@needs_corpus
def test_the_published_corpus() -> None:
    corpus = read_corpus(CORPUS)
    rows = [len(one.values) for one in corpus]
    assert (len(corpus), sum(rows)) == (58, 365_558)
    assert sum(len(one.windows) for one in corpus) == 116
    assert sum(n - probation(n) for n in rows) == 332_842  # As in NAB's own result files.
    perfect = score(corpus, first_rows(corpus))
    assert [perfect[profile]["score"] for profile in PROFILES] == pytest.approx([100] * 3)
    figures = []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        found = score(corpus, [generator.random(n) for n in rows])
        figures.append([found[profile]["score"] for profile in PROFILES])
    standard, low_fp, low_fn = np.mean(figures, axis=0)
    # Published of detectors that draw at random: 11.0 to 16.8, 1.2 and 19.5.
    assert 9 < standard < 18
    assert 0 < low_fp < 5
    assert 17 < low_fn < 30


def write(folder: Path, windows: object, table: str | None = None) -> Path:
    (folder / "labels").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "labels/combined_windows.json").write_text(json.dumps(windows))
    if table is None:
        times = pd.date_range("2024-01-01", periods=10, freq="5min")
        table = pd.DataFrame({"timestamp": times, "value": range(10)}).to_csv(index=False)
    (folder / "data/a.csv").write_text(table)
    return folder


def test_windows_are_rows_and_repeated_stamps_stay(tmp_path: Path) -> None:
    stamps = ["2024-01-01 00:00:00", "2024-01-01 00:05:00", "2024-01-01 00:00:00"]
    table = "timestamp,value\n" + "".join(f"{stamp},{i}\n" for i, stamp in enumerate(stamps))
    (one,) = read_corpus(write(tmp_path, {"a.csv": [[stamps[0], stamps[1] + ".000000"]]}, table))
    assert one.name == "a.csv"
    assert one.windows == ((0, 1),)
    np.testing.assert_array_equal(one.values, [0, 1, 2])
    assert one.times[0] == one.times[2]


def stamps(*minutes: int) -> list[str]:
    return [f"2024-01-01 00:{minute:02}:00.000000" for minute in minutes]


@pytest.mark.parametrize(
    ("windows", "table", "message"),
    [
        ({"b.csv": [stamps(5, 10)]}, None, r"b\.csv cannot be read, but .*names it"),
        ({"a.csv": [stamps(5, 11)]}, None, r"a\.csv has no row of the stamp '.*00:11:00"),
        ({"a.csv": [["soon", "later"]]}, None, r"a\.csv has no row of the stamp 'soon'"),
        ({"a.csv": [stamps(5)]}, None, r"is no \[start, end\]"),
        ({"a.csv": [stamps(10, 5)]}, None, "overlap or end before they start"),
        ({"a.csv": [stamps(5, 10), stamps(10, 15)]}, None, "overlap or end before"),
        ({"a.csv": []}, None, "name a window"),
        ({"a.csv": "soon"}, None, "list of"),
        ([1], None, "must map each file"),
        ({"a.csv": [stamps(5, 10)]}, "a,b\n1,2\n", "no columns timestamp and value"),
        ({"a.csv": [stamps(5, 10)]}, "timestamp,value\nsoon,2\n", "no columns timestamp and value"),
        (
            {"a.csv": [stamps(5, 10)]},
            "timestamp,value\n2024-01-01,1\n2024-01-01,\n",
            "line 3: stamp or value is missing",
        ),
    ],
)
def test_a_bad_folder(tmp_path: Path, windows: object, table: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_corpus(write(tmp_path / "nab", windows, table))


def test_labels_that_are_not_there(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"combined_windows\.json cannot be read; give"):
            read_corpus(folder)
