"""Word vectors from the formats that are about, and what can be wrong with a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from apps.errors import UserError
from apps.layers.text import WordIds
from apps.text.word_vectors import read_word_vectors

VECTORS = {"film": [1.0, -2.0, 3.0], "Dull": [0.5, 0.25, -1e-3], "unseen": [9.0, 9.0, 9.0]}
LINES = "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in VECTORS.items())


@pytest.fixture(scope="module")
def words() -> WordIds:
    return WordIds(["film", "dull", "plot"], max_tokens=10)


@pytest.fixture
def initial() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.05, 0.05, (5, 3)).astype(np.float32)


# How a file of vectors is written: its name, and its bytes.
FORMATS = {
    "GloVe": ("a.txt", LINES.encode()),
    "word2vec": ("a.vec", b"3 3\n" + LINES.encode()),
    "fastText": ("a.vec", b"3 3\n" + LINES.replace("\n", " \n").encode()),
    "gzip": ("a.txt.gz", gzip.compress(LINES.encode())),
    "Windows line ends": ("a.txt", LINES.replace("\n", "\r\n").encode()),
}


@pytest.mark.parametrize("form", FORMATS)
def test_known_words_take_their_vectors(
    form: str, words: WordIds, initial: np.ndarray, tmp_path: Path
) -> None:
    name, content = FORMATS[form]
    (tmp_path / name).write_bytes(content)
    before = initial.copy()
    table = read_word_vectors(str(tmp_path / name), words, initial)
    np.testing.assert_array_equal(initial, before)
    np.testing.assert_array_equal(table[[0, 1, 4]], initial[[0, 1, 4]])
    expected = np.array([VECTORS["film"], VECTORS["Dull"]])
    scale = table[2, 0] / expected[0, 0]
    np.testing.assert_allclose(table[2:4], expected * scale, rtol=1e-5)
    assert table[2:4].std() == pytest.approx(initial.std(), rel=1e-4)


def test_words_that_hold_spaces_are_read(
    words: WordIds, initial: np.ndarray, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text(LINES + ". . 1 2 3\nplot 3 2 1\n")
    table = read_word_vectors(str(file), words, initial)
    assert table[4, 0] > table[4, 2] > 0


# File content (None: no file) and words that the message must hold.
FAULTS = {
    "missing": (None, "No such file"),
    "too short": ("film 1 2\n", "line 1: 2 numbers; embedding=3 .*--set embedding=2"),
    "too long": ("film 1 2 3 4\n", "line 1: 4 numbers; embedding=3 .*--set embedding=4"),
    "short later": (LINES + "plot 1\n", "line 4: 1 numbers"),
    "no overlap": ("zebra 1 2 3\n", "no word of the training texts"),
    "no numbers": ("film a b c\n", "line 1: .*give numbers after the word"),
    "not finite": ("film 1 nan 3\n", "not finite"),
    "empty": ("", "no word of the training texts"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_file_is_said(
    fault: str, words: WordIds, initial: np.ndarray, tmp_path: Path
) -> None:
    content, message = FAULTS[fault]
    file = tmp_path / "vectors.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=f"vectors.txt.*{message}"):
        read_word_vectors(str(file), words, initial)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vectors.bin", b"3 3\nfilm \xff\xfe\x00\x80\xbf"),
        ("vectors.txt.gz", b"not gzip"),
        ("vectors.txt.gz", gzip.compress(LINES.encode(), mtime=0)[:30]),
    ],
)
def test_binary_and_damaged_files_are_refused(
    name: str, content: bytes, words: WordIds, initial: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        read_word_vectors(str(tmp_path / name), words, initial)
