"""Pictures of reports for the pages: `python docs/screenshots.py` writes docs/report-*.png.

Small models are trained on the built-in samples; Chromium shows a part of each report.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import apps
from apps import catalogue

FOLDER = Path(__file__).parent
# From which heading on each report is shown; from its beginning where there is none.
PICTURED = {"sentiment": "", "forecasting": "Forecasts against", "anomalies": "Time lines"}
WIDTH, HEIGHT = 760, 900
_EPOCHS = 8
# Of 120 reviews nothing is learnt, and there would be nothing to see.
_ROWS = {"sentiment": 2000}
_LARGEST = 300_000


def main() -> None:
    """Train, open the reports, write the pictures.

    Raises:
        SystemExit: there is no Chromium, or a picture became too large.
    """
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    browser = browser or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("screenshots: Chromium is not installed (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for name, heading in PICTURED.items():
            page.goto(trained(name, Path(folder) / name).as_uri())
            if heading:
                page.locator("h2", has_text=heading).evaluate("title => title.scrollIntoView()")
            picture = page.screenshot(path=FOLDER / f"report-{name}.png")
            if len(picture) > _LARGEST:
                sys.exit(f"screenshots: report-{name}.png has {len(picture):,} bytes")
            print(f"docs/report-{name}.png")
        chromium.close()


def trained(name: str, folder: Path) -> Path:
    """The report of an application trained with its tiny settings on its built-in sample."""
    kind = catalogue.load(name)
    tiny = kind.tiny()
    examples = kind.sample(0).select(range(_ROWS[name])) if name in _ROWS else tiny.examples
    columns = list(examples.columns)
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*(examples[column] for column in columns), strict=True)
    ]
    settings = {**tiny.settings, "epochs": _EPOCHS}
    run = apps.train(name, rows, run=folder, log=lambda line: None, **settings)
    return run.files.report


if __name__ == "__main__":
    main()
