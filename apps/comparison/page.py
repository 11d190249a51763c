"""A comparison as a page that fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.report.charts import Competitor, comparison
from apps.report.quantities import Metric
from apps.report.templates import render


def page_of(result: Mapping[str, Any], metric: Metric) -> str:
    """The page.

    Args:
        result: what `compare` gives.
        metric: that decides.
    """
    raced = [one for one in result["stacks"] if one.get("values")]
    rows = [
        Competitor(
            one["stack"],
            float(np.mean(one["values"])),
            (min(one["values"]), max(one["values"])),
            model=True,
        )
        for one in raced
    ]
    rows += [Competitor(name, value) for name, value in result["baselines"].items()]
    rows.sort(key=lambda one: one.value, reverse=metric.better == "higher")
    return render(
        "comparison/page.html.j2",
        result=result,
        metric=metric,
        chart=comparison(metric, rows),
        stacks=[{**one, "value": _value(one, metric)} for one in result["stacks"]],
        naive={name: metric.written(value) for name, value in result["baselines"].items()},
    )


def _value(one: Mapping[str, Any], metric: Metric) -> str:
    values = one.get("values")
    if not values:
        return ""
    spread = f"{metric.written(min(values))} to {metric.written(max(values))}"
    return f"{metric.written(float(np.mean(values)))} ({spread})"
