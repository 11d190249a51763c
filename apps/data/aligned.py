"""Reader of files that are aligned line by line: what stands on one line in each is a row."""

from __future__ import annotations

from pathlib import Path

from apps.data.columns import Schema, quoted
from apps.data.lines import text_lines
from apps.data.raw import Raw
from apps.errors import UserError


def aligned_files(source: str) -> list[Path]:
    """The files that a source with commas names, such as `train.en.gz,train.de.gz`; else none."""
    if "," not in source or Path(source).expanduser().exists():
        return []
    return [Path(part.strip()).expanduser() for part in source.split(",")]


def read_aligned(paths: list[Path], schema: Schema) -> Raw:
    """Read a column from each file, blank lines included; those at the end of all files are none.

    Args:
        paths: gzip-compressed or not, one for each required column, in their order.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first line.

    Raises:
        UserError: there are more or fewer files than columns, or they differ in lines.
    """
    source = ",".join(map(str, paths))
    wanted = [name for name, column in schema.columns.items() if column.required]
    # Where a single column is wanted, as in prediction, the others may be there all the same.
    if len(paths) < len(wanted) or (len(paths) > len(wanted) and len(wanted) != 1):
        raise UserError(
            f"{source}: {len(paths)} files, where {quoted(wanted)} are wanted; name one for each"
        )
    columns = [text_lines(path) for path in paths]
    ends = [
        max((n for n, text in enumerate(lines, 1) if text.strip()), default=0) for lines in columns
    ]
    rows = max(ends)
    if any(len(lines) < rows for lines in columns):
        counted = ", ".join(
            f"{path} has {len(lines):,}" for path, lines in zip(paths, columns, strict=True)
        )
        raise UserError(
            f"line-aligned files must have as many lines each: {counted}; "
            "find the line where one of them begins to lag"
        )
    fields = {name: lines[:rows] for name, lines in zip(wanted, columns, strict=False)}
    return Raw(fields, [f"{source} row {row}" for row in range(1, rows + 1)], source)
