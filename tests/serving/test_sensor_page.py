"""What the page shows of a table of sensors: channels, alarms, and the events as a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apps import catalogue
from apps.data import read
from apps.errors import UserError
from apps.layers.channel_names import ChannelNames

HOSTILE = "<img src=x onerror=alert(1)>"


def table(folder: Path, rows: int = 120) -> Path:
    times = np.datetime64("2024-01-01T00:00") + 5 * np.arange(rows).astype("timedelta64[m]")
    lines = [f'time,"{HOSTILE}",b', *(f"{t},{row % 7},{row}" for row, t in enumerate(times))]
    file = folder / "sensors.csv"
    file.write_text("\n".join(lines))
    return file


def asked(file: Path) -> tuple[object, object]:
    kind = catalogue.load("anomalies")
    given = kind(kind.Config()).input
    rows = read(file, {**given.columns, **given.attributes})
    layers = given.adapt(given.units(given.check(rows, learning=True)))
    about = kind(kind.Config())
    about.input.adapted.update(layers)
    assert isinstance(layers["channels"], ChannelNames)
    return given, about.input.metadata()


def test_events_of_an_uploaded_table_are_drawn_with_names_escaped(tmp_path: Path) -> None:
    file = table(tmp_path)
    given, about = asked(file)
    field = given.page_field  # type: ignore[attr-defined]
    requests = field.requests(str(file), given, about)
    assert len(requests.rows) == 1
    assert requests.rows[0]["series"].shape == (120, 2)
    flat = np.zeros((120, 2)).tolist()
    event = {"start": 50, "end": 52, "peak": 51, "score": 7.5, "channel": HOSTILE}
    answer = {
        "score": [0.0] * 120,
        "low": flat,
        "high": flat,
        "channels": [HOSTILE, "b"],
        "threshold": 5.0,
        "events": [{**event, "from": "2024-01-01T04:10:00", "to": "2024-01-01T04:20:00"}],
    }
    html = requests.shown([answer])
    assert html.count("<svg") == 3
    assert "50 to 52" in html
    assert "2024-01-01T04:10:00" in html
    assert "1 event in 120 rows" in html
    assert "<img" not in html
    quiet = requests.shown([{**answer, "events": []}])
    assert "0 events in 120 rows" in quiet
    assert "<table" not in quiet


def test_a_table_of_other_columns_is_refused_by_its_own_name(tmp_path: Path) -> None:
    given, about = asked(table(tmp_path))
    other = tmp_path / "other.csv"
    other.write_text("time,x\n2024-01-01,1\n2024-01-02,2\n")
    with pytest.raises(UserError, match=r"^other\.csv"):
        given.page_field.requests(str(other), given, about)  # type: ignore[attr-defined]
