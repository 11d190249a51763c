"""Word vectors from text files written by GloVe, word2vec and fastText."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from apps.errors import UserError
from apps.layers.text import WordIds
from apps.layers.unicode_form import composed


def read_word_vectors(file: str, words: WordIds, initial: np.ndarray) -> np.ndarray:
    """The rows of an embedding table, taken from a file where it has the word.

    Args:
        file: GloVe, word2vec or fastText text format, `.gz` too; a first line of two counts is
            skipped.
        words: whose vocabulary orders the rows.
        initial: `(ids, dimension)` float32, kept where the file lacks the word.

    Returns:
        `(ids, dimension)` float32; vectors are scaled to the spread of `initial`.

    Raises:
        UserError: the file is missing, a line does not hold a word and `dimension` numbers, or no
            word of the vocabulary is in it.
    """
    path = Path(file)
    rows = {word: words.first_id + i for i, word in enumerate(words.vocabulary)}
    table, found = initial.copy(), []
    dimension = initial.shape[1]
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        # Words may hold characters at which Python would end lines.
        with opened(path, "rt", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                parts = line.rstrip().split(" ")
                if number == 1 and len(parts) == 2:
                    continue
                if len(parts) <= dimension or (len(parts) > dimension + 1 and number <= 2):
                    raise UserError(
                        f"{file} line {number}: {len(parts) - 1} numbers; embedding={dimension} "
                        f"needs {dimension}; train with --set embedding={len(parts) - 1}"
                    )
                row = rows.get(composed(" ".join(parts[:-dimension])).lower())
                if row is not None:
                    table[row] = np.array(parts[-dimension:], np.float32)
                    found.append(row)
    except (EOFError, zlib.error) as error:
        raise UserError(f"{file}: damaged gzip ({error}); download it again") from None
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}; give a file of word vectors") from None
    except UnicodeDecodeError:
        raise UserError(
            f"{file}: not UTF-8 text; give vectors in text format, not binary"
        ) from None
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file} line {number}: {error}; give numbers after the word") from None
    if not found:
        raise UserError(
            f"{file}: holds no word of the training texts; give vectors of their language"
        )
    if not np.isfinite(table).all():
        raise UserError(f"{file}: holds numbers that are not finite; repair the file")
    table[found] *= initial.std() / max(float(table[found].std()), 1e-12)
    return table
