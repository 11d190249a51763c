"""What the site adds to docs/: the README as its first page, and the results that pages link to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

CHECKOUT = Path(__file__).parents[2]
# Links to what lies above docs/, and those of the README into it.
_LINK = re.compile(r"\[([^\]]*)\]\((?:\.\./)?((?:README\.md|docs/|benchmarks/)[^)\s]*)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the README as `index.md`, and each file of results that a page links to."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=readme))
    texts = [readme, *(page.read_text(encoding="utf-8") for page in CHECKOUT.glob("docs/*.md"))]
    for target in sorted({link for text in texts for _, link in _LINK.findall(text)}):
        if target.startswith("benchmarks/") and (CHECKOUT / target).is_file():
            place = str(CHECKOUT / target)
            files.append(File.generated(config, target, abs_src_path=place))
    return files


def on_page_markdown(markdown: str, **page: Any) -> str:
    """Links as they hold in the site: the README is `index.md`, and docs/ is its root."""
    return _LINK.sub(_in_site, markdown)


def _in_site(link: re.Match[str]) -> str:
    """The link; its words alone where it leads to a folder, which a site cannot list."""
    words, target = link.groups()
    if (CHECKOUT / target).is_dir():
        return words
    place = target.removeprefix("docs/").replace("README.md", "index.md")
    return f"[{words.removeprefix('docs/')}]({place})"
