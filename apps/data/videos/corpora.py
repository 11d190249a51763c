"""Readers of the lists of clips that come with UCF-101 and HMDB-51."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from apps import environment
from apps.data.files import check_decoded, explained, open_text
from apps.data.finding import exists
from apps.data.kind import Corpus
from apps.errors import UserError

_UCF = re.compile(r"(?P<label>[^/\s]+)/(?P<file>v_\S+?_(?P<group>g\d+)_c\d+\.\w+)(\s+\d+)?")
_HMDB_FILE = re.compile(r"(?P<label>.+)_test_split(?P<split>\d+)\.txt")
_HMDB = re.compile(r"(?P<file>\S.*?\.\w+)\s+(?P<use>[012])")
_TRAINING, _TEST = "1", "2"
# Both come without their videos, which people unpack beside the lists or one folder above.
_VIDEOS = (
    *("", "UCF-101", "UCF101", "ucf101", "hmdb51", "HMDB51", "hmdb51_org", "hmdb51-org"),
    *("videos", "video", "clips", "data"),
)
_LOOKED_FOR = 20


def find_corpus(path: Path) -> Corpus | None:
    """Read a list of either data set.

    Args:
        path: UCF-101's `trainlist01.txt` or `testlist01.txt`; HMDB-51's folder of files
            `LABEL_test_split1.txt`, which stands for the training clips of its lowest split; or one
            of those files, which stands for the test clips of its split, all labels included.

    Returns:
        Unchecked values of `video`, `label` and `group`: clips that were cut from one film. None
        where it is no such list.

    Raises:
        UserError: a line is malformed.
    """
    if path.is_dir():
        numbers = [int(match["split"]) for match in _hmdb_files(path).values()]
        return _read_hmdb(path, path, min(numbers), _TRAINING) if numbers else None
    if path.suffix.lower() != ".txt":
        return None
    one = _HMDB_FILE.fullmatch(path.name)
    if one is not None:
        return _read_hmdb(path.parent, path, int(one["split"]), _TEST)
    with open_text(path) as lines:
        first = next((line.strip() for line in lines if line.strip()), "")
    return _read_ucf(path) if _UCF.fullmatch(first) else None


def _read_ucf(path: Path) -> Corpus:
    """Read lines `Label/v_Label_g08_c01.avi 1`, the number being left out in the lists for tests.

    The clips of one group, such as g08, are cut from one film; each label counts its own.
    """
    rows = []
    for text, place in _lines(path):
        found = _UCF.fullmatch(text)
        if found is None:
            raise UserError(f"{place}: '{text[:60]}' is not Label/v_Label_g01_c01.avi; correct it")
        rows.append((found["label"], found["file"], f"{found['label']} {found['group']}", place))
    return _corpus(rows, path, path.parent, "UCF-101's layout")


def _hmdb_files(folder: Path) -> dict[Path, re.Match[str]]:
    with explained(folder):
        matches = {file: _HMDB_FILE.fullmatch(file.name) for file in sorted(folder.iterdir())}
    return {file: match for file, match in matches.items() if match is not None}


def _read_hmdb(folder: Path, source: Path, split: int, use: str) -> Corpus:
    """Read lines `file.avi 1`; 1 is for training, 2 for tests, 0 for neither.

    The names of films come before the labels in those of files.
    """
    rows = []
    for path, match in _hmdb_files(folder).items():
        if int(match["split"]) != split:
            continue
        label = match["label"]
        for text, place in _lines(path):
            found = _HMDB.fullmatch(text)
            if found is None:
                raise UserError(f"{place}: '{text[:60]}' is not FILE.avi 0, 1 or 2; correct it")
            if found["use"] == use:
                film = found["file"].partition(f"_{label}_")[0]
                rows.append((label, found["file"], film, place))
    part, other = ("training", "test") if use == _TRAINING else ("test", "training")
    how = f"{folder}/…_test_split{split}.txt, any of them" if use == _TRAINING else str(folder)
    environment.say(
        f"{source}: the {len(rows)} {part} clips of split {split}; for the {other} clips name {how}"
    )
    return _corpus(rows, source, folder, "HMDB-51's layout")


def _corpus(
    rows: Sequence[tuple[str, str, str, str]], source: Path, folder: Path, layout: str
) -> Corpus:
    """A corpus of label, file, group and place of each row."""
    root = _root(folder, [(label, file) for label, file, _, _ in rows[:_LOOKED_FOR]])
    fields: dict[str, Sequence[Any]] = {
        "video": [_at(root, label, file) for label, file, _, _ in rows],
        "label": [label for label, _, _, _ in rows],
        "group": [group for _, _, group, _ in rows],
    }
    return Corpus(fields, [place for *_, place in rows], source, layout)


def _root(folder: Path, some: Sequence[tuple[str, str]]) -> Path:
    """The folder that the videos lie in; the lists' own if none of some videos is found."""
    candidates = [above / below for above in (folder, folder.parent) for below in _VIDEOS]
    return next(
        (root for root in candidates if any(exists(_at(root, *one)) for one in some)), folder
    )


def _at(root: Path, label: str, file: str) -> Path:
    """Where a video lies: in the folder of its label, or beside those of the others."""
    flat = root / file
    return flat if not exists(root / label / file) and exists(flat) else root / label / file


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not blank, each with its place."""
    row = 0
    with open_text(path) as stream:
        for line in stream:
            text = line.strip()
            if text:
                row += 1
                place = f"{path} row {row}"
                check_decoded(text, path, place)
                yield text, place
