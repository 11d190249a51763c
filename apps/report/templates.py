"""The templates of the report: text is escaped unless it is `Markup`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from apps.report import quantities


def render(template: str, **values: Any) -> Markup:
    """Fill a template of this folder, or of an application's.

    Args:
        template: file name, `"report.html.j2"`; elsewhere its path from the folder of all
            applications, `"speech/players.html.j2"`.
        **values: what it shows; everything but `Markup` is escaped.

    Returns:
        The markup.
    """
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> jinja2.Environment:
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([here, here.parent], encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": quantities.percent,
        "decimal": quantities.decimal,
        "duration": quantities.duration,
        "words": quantities.words,
        "capital": quantities.capital,
        "excerpt": quantities.excerpt,
    }
    return environment
