"""The field of the page for series: a table, whose forecasts are drawn behind its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from apps import strict_json
from apps.data import Examples, read
from apps.data.panels.windows import SERIES, START
from apps.errors import UserError
from apps.page_field import QUESTION, TOLD, WholeField, WholeRequests
from apps.report.forecasts import fan_chart
from apps.report.templates import render
from apps.signatures import Arrays, Signature

_TEMPLATE = "inputs/history_field.html.j2"
# Series that are asked about, and charts that are drawn.
_SERIES, _CHARTS = 4, 6


class SeriesRequests(WholeRequests):
    """Series or windows of them that are asked about.

    Args:
        units: as the input gives them.
        count: how many the table has.
        raw: the same as a client sends them.
        about: what the model says of itself.
    """

    def __init__(
        self,
        units: Examples,
        count: int,
        raw: Mapping[str, np.ndarray],
        about: Mapping[str, Any],
    ) -> None:
        self._units, self._count, self._about = units, count, about
        self.rows = [
            {name: values[row] for name, values in raw.items()} for row in range(len(units))
        ]


class Forecasts(SeriesRequests):
    """The last windows of some series, and how what was forecast of them looks."""

    def shown(self, answers: Sequence[Mapping[str, Any]]) -> str:
        """A chart and a table for each series and target, as far as there is room for them."""
        drawn = [
            self._drawn(number, answer, target)
            for number, answer in enumerate(answers)
            for target in range(len(answer["targets"]))
        ]
        charts = drawn[:_CHARTS]
        left = self._count - len(answers)
        return str(render(_TEMPLATE, charts=charts, more=len(drawn) - len(charts), left=left))

    def _drawn(self, number: int, answer: Mapping[str, Any], target: int) -> dict[str, Any]:
        one, start = self._units[SERIES][number], int(self._units[START][number])
        quantiles = np.asarray(answer["quantiles"], float)[:, target]
        levels = [round(level, 6) for level in answer["levels"]]
        end = start + self._about["context"]
        name = " · ".join(part for part in (one.name, answer["targets"][target]) if part)
        # What is asked of all rows together has one answer, that of the last.
        first = self._about["horizon"] - len(quantiles) + 1
        ahead = answer.get("time") or [f"row +{first + row}" for row in range(len(quantiles))]
        known, came = one.targets[:end, target], np.full(len(quantiles), np.nan)
        return {
            "name": name,
            "chart": fan_chart(f"{number + 1} {name}", known, came, quantiles, levels),
            "levels": levels,
            "rows": list(zip(ahead, quantiles.tolist(), strict=True)),
        }


class HistoryField(WholeField):
    """Takes a table, and asks what comes after the last row of each of its first series.

    Attributes:
        drawn_by: makes what is sent and drawn of units, their number, raw inputs and metadata.
    """

    drawn_by: ClassVar[type[SeriesRequests]] = Forecasts

    def make(self) -> Any:
        import gradio as gr

        kinds = [".csv", ".tsv", ".txt", ".gz", ".jsonl", ".json"]
        return gr.File(label="Table with the history, such as a CSV", file_types=kinds)

    def requests(self, value: Any, given: Any, about: Mapping[str, Any]) -> WholeRequests:
        if not value:
            raise UserError("there is no table yet; choose a file")
        file = Path(value)
        try:
            rows = read(file, {**given.columns, **given.attributes}, asking=True)
            units = given.asked(rows, about)
            chosen = units.select(range(min(_SERIES, len(units))))
            raw = given.raw(chosen, about)
        except UserError as error:
            # The page keeps what is uploaded in a folder that means nothing to who chose it.
            raise UserError(str(error).replace(str(file), file.name)) from None
        return type(self).drawn_by(chosen, len(units), raw, about)


def telling(field: WholeField, values: Mapping[str, Any]) -> dict[str, Signature]:
    """The entry point at which a model tells the field of itself.

    Args:
        field: of the page.
        values: what it tells, JSON values by name.
    """
    told = strict_json.dumps(values)

    def tell(question: tf.Tensor) -> dict[str, tf.Tensor]:
        return {TOLD: tf.fill(tf.shape(question), told)}

    def example(inputs: Arrays, outputs: Arrays) -> tuple[Arrays, Arrays]:
        return {QUESTION: np.array([""], object)}, {TOLD: np.array([told], object)}

    spec = tf.TensorSpec((None,), tf.string, name=QUESTION)
    return {field.about: Signature({QUESTION: spec}, tell, example=example)}
