"""Rows of a table that grows, cut into chunks."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.data.panels.series import Channels, Step
from apps.errors import UserError
from apps.following import Chunk
from apps.inputs.sensor_chunks import sensor_chunks
from apps.inputs.sensor_rows import SensorOptions

MINUTE = 60.0
START = np.datetime64("2024-01-01T00:00")


def about(
    *targets: str, time: str = "time", ids: tuple[str, ...] = (), decimal: str = "", size: int = 5
) -> dict[str, Any]:
    dated = bool(time)
    step = Step(f"{size}min", size * MINUTE, True, True) if dated else Step("", 1.0, False, True)
    channels = Channels(targets, (), (), (), time, ids, {}, step).to_dict()
    return {
        "channels": channels,
        "gap": 3.0,
        "timezone": "",
        "date_order": "",
        "decimal": decimal,
    }


def stamps(rows: int, step: int = 5) -> list[str]:
    return [str(START + np.timedelta64(step * row, "m")).replace("T", " ") for row in range(rows)]


def lines_of(rows: int, step: int = 5) -> list[str]:
    return ["time,a,b", *(f"{time},{row},{row}.5" for row, time in enumerate(stamps(rows, step)))]


def read(
    source: str | bytes | Path, known: dict[str, Any] | None = None, **options: str
) -> list[Chunk]:
    if isinstance(source, str):
        source = source.encode()
    opened: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    return list(sensor_chunks(opened, known or about("a", "b"), SensorOptions(**options)))


def values(chunks: Sequence[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.arrays["series"][0] for chunk in chunks])


WANTED = np.stack([np.arange(40.0), np.arange(40.0) + 0.5], 1)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(lines_of(40)),
        "\n".join(lines_of(40)) + "\n\n",
        "\r\n".join(lines_of(40)) + "\r\n",
        "\r".join(lines_of(40)),
        "\ufeff" + "\n".join(lines_of(40)),
        "\n".join(lines_of(40)).replace(",", ";"),
        "sep=|\n" + "\n".join(lines_of(40)).replace(",", "|"),
        "\n".join(line + "," for line in lines_of(40)).replace("b,", "b", 1),
        "\n".join(lines_of(40)).replace("time,a", " Time ,A"),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in lines_of(40)),
    ],
)
def test_a_table_is_read_however_it_is_written(text: str, tmp_path: Path) -> None:
    file = tmp_path / "sensor.csv"
    file.write_text(text, newline="")
    for chunks in (read(text), read(file)):
        np.testing.assert_array_equal(values(chunks), WANTED)
        assert [chunk.end[1] for chunk in chunks] == [0, 16, 32, *range(33, 40)]
        assert not any(chunk.begins for chunk in chunks)
        times = np.concatenate([chunk.arrays["time"][0] for chunk in chunks])
        assert np.all(np.diff(times) == 5 * MINUTE)
        assert [time for chunk in chunks for time in chunk.end[0]] == stamps(40)


def test_a_compressed_file_is_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(lines_of(40)).encode())
    file = tmp_path / "sensor.csv.gz"
    file.write_bytes(packed)
    np.testing.assert_array_equal(values(read(file)), WANTED)
    with pytest.raises(UserError, match="compressed by gzip; unpack it"):
        read(packed)
    with pytest.raises(UserError, match="UTF-16"):
        read("\n".join(lines_of(4)).encode("utf-16"))


def test_rows_arrive_one_by_one() -> None:
    pieces = [f"{line}\n".encode() for line in lines_of(5)]

    class Pipe(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += 1
            return pieces[self.given - 1] if self.given <= len(pieces) else b""

    pipe = Pipe()
    for row, chunk in enumerate(sensor_chunks(pipe, about("a", "b"), SensorOptions())):
        assert chunk.arrays["series"].tolist() == [[[row, row + 0.5]]]
        assert pipe.given == row + 2


def test_holes_stay_holes_and_numbers_are_read_as_in_a_table() -> None:
    cells = ["", "NA", "-", "1e3", "+2", '"1,234.5"', "$7", "-.5"]
    text = "time,a\n" + "\n".join(f"{t},{c}" for t, c in zip(stamps(8), cells, strict=True))
    found = values(read(text, about("a")))[:, 0]
    nan = float("nan")
    np.testing.assert_array_equal(found, [nan, nan, nan, 1000, 2, 1234.5, 7, -0.5])


def test_decimal_commas_are_those_that_were_learnt_or_said() -> None:
    text = f"time;a\n{stamps(2)[0]};3,5\n{stamps(2)[1]};1.234,5\n"
    assert values(read(text, about("a", decimal=",")))[:, 0].tolist() == [3.5, 1234.5]
    assert values(read(text, about("a"), decimal=","))[:, 0].tolist() == [3.5, 1234.5]
    with pytest.raises(UserError, match=r"line 2: 'a' is '3,5'.*--decimal ','"):
        read(text, about("a"))
    points = text.replace("3,5", "3.5").replace("1.234,5", "4.5")
    with pytest.raises(UserError, match=r"line 2: 'a' is '3\.5'.*--decimal '\.'"):
        read(points, about("a", decimal=","))
    assert values(read(points, about("a", decimal=","), decimal="."))[:, 0].tolist() == [3.5, 4.5]


@pytest.mark.parametrize("cell", ["oops", "inf", "-Infinity", "1e999", "1_000", "0x10", "1 2"])
def test_a_cell_that_is_no_number_is_named(cell: str) -> None:
    text = "\n".join([*lines_of(3), f"2024-01-01 00:15,{cell},1"])
    with pytest.raises(UserError, match=rf"input line 5: 'a' is '{cell}'.*empty the cell"):
        read(text)


@pytest.mark.parametrize(
    "wrong",
    ["2024-01-02,oops,1", "2024-01-02,1", "soon,1,2", ",1,2"],
)
@pytest.mark.parametrize("before", [1, 2, 39, 40])
def test_rows_before_a_wrong_one_come_first(wrong: str, before: int) -> None:
    lines = lines_of(40)
    text = "\n".join([*lines[: before + 1], wrong, *lines[before + 1 :], ""])
    pipe: Any = io.BytesIO(text.encode())
    found: list[Chunk] = []
    with pytest.raises(UserError, match=f"line {before + 2}"):
        found.extend(sensor_chunks(pipe, about("a", "b"), SensorOptions()))
    np.testing.assert_array_equal(values(found), WANTED[:before])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no line"),
        ("\n\n", "no line"),
        ("time,a,b", "a header but no rows"),
        ("time,a,b\n", "a header but no rows"),
        ("time,a,c\n1,2,3", "line 1: no column 'b'"),
        ("a,b\n2,3", "line 1: no column 'time'"),
        ("time,a,b,a\n1,2,3,4", "line 1: the column 'a' is there twice"),
        ("time,a,b\n2024-01-01,2", "line 2 has 2 cells, the header 3; complete"),
        ("time,a,b\n2024-01-01,2,3,4", "line 2 has 4 cells, the header 3; put quotes"),
        ("time,a,b\nsoon,2,3", "line 2: the time 'soon' is no date"),
        ("time,a,b\n7,2,3", "line 2: the time '7' is no date"),
        ("time,a,b\n2024-01-01,1,2\n,2,3", "line 3: the time '"),
        ("time,a,b\n2024-01-01,1,2\nsoon,2,3", "line 3: .*'soon'"),
    ],
)
def test_what_is_no_table_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told) as error:
        read(text)
    assert "\n" not in str(error.value)


def test_late_rows_are_dropped_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(40)
    chunks = read("\n".join([*lines[:31], *lines[11:16], *lines[30:]]))
    np.testing.assert_array_equal(values(chunks), WANTED)
    assert chunks[-1].end[1] == 39
    told = capsys.readouterr().err
    assert "6 rows came late and were dropped, the first is in line 32" in told


def test_a_header_that_comes_again_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(40)
    np.testing.assert_array_equal(
        values(read("\n".join([*lines[:21], *lines[:1], *lines[21:]]))), WANTED
    )
    assert "1 row passed over, the header once more" in capsys.readouterr().err


def test_behind_a_gap_a_stream_begins() -> None:
    lines = lines_of(100)
    found = read("\n".join([*lines[:41], *lines[61:]]))
    assert [chunk.end[1] for chunk in found if chunk.begins] == [40]
    assert [chunk.begins for chunk in found] == [chunk.end[2] for chunk in found]
    few = read("\n".join([*lines[:41], *lines[43:]]))
    assert not any(chunk.begins for chunk in few)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_gaps_are_counted_in_the_step_of_the_sensor(at_once: int) -> None:
    known = about("a", "b")
    hours = {**known["channels"]["step"], "alias": "h", "size": 60 * MINUTE}
    known["channels"]["steps"] = [known["channels"]["step"], hours]
    for step, begins in ((60, []), (5, [40])):
        lines = lines_of(80, step)
        if step == 5:
            lines = [*lines[:41], *lines[46:]]
        groups = [lines[at : at + at_once] for at in range(0, len(lines), at_once)]
        pieces = iter(["".join(f"{line}\n" for line in group).encode() for group in groups])

        class Pipe(io.RawIOBase):
            def read(self, size: int = -1, pieces: Any = pieces) -> bytes:
                return next(pieces, b"")

        chunks = list(sensor_chunks(Pipe(), known, SensorOptions()))
        assert [chunk.end[1] for chunk in chunks if chunk.begins] == begins


def test_another_step_than_was_learnt_is_refused() -> None:
    with pytest.raises(UserError, match=r"lie 3600 seconds apart, .* from 300 seconds; bring"):
        read("\n".join(lines_of(40, 60)))


def test_series_of_a_long_table_are_not_mixed() -> None:
    known = about("a", ids=("machine",))
    one, two = stamps(2)
    assert len(read(f"time,machine,a\n{one},x,1\n{two},x,2", known)) == 2
    with pytest.raises(UserError, match="line 3 is of the series 'y', the rows before of 'x'"):
        read(f"time,machine,a\n{one},x,1\n{one},y,2", known)


def test_a_date_and_a_clock_are_one_time() -> None:
    text = "date,clock,a\n" + "\n".join(
        f"{t.replace(' ', ',')},{n}" for n, t in enumerate(stamps(3))
    )
    chunks = read(text, about("a", time="date+clock"))
    assert [chunk.end[0][0] for chunk in chunks] == stamps(3)
    assert np.diff([chunk.arrays["time"][0, 0] for chunk in chunks]).tolist() == [300, 300]


def test_numbers_without_header_and_time_are_a_sensor() -> None:
    known = about("value", time="")
    for text in ("1\n2\n3\n", "value\n1\n2\n3\n"):
        chunks = read(text, known)
        assert values(chunks)[:, 0].tolist() == [1, 2, 3]
        assert [set(chunk.arrays) for chunk in chunks] == [{"series"}] * 3
