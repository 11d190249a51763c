"""The words that a decoder knows, as a trie over the tokens that they are spelt with."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from apps.layers.ctc.tokens import Tokens

if TYPE_CHECKING:
    from apps.layers.language.ngram import NgramModel

# Number of tokens for which an int64 has bits, its sign left out.
BLOCK = 63


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Spellings of words as a trie whose nodes hold one bit for each token that can follow.

    The children of a node are numbered consecutively in the order of their tokens, so that the
    number of lower bits set is a child's index: Jacobson 1989, "Space-efficient static trees and
    graphs". A look-up takes constant time, and a node takes a few bytes for 63 tokens.

    Attributes:
        followers: `(nodes, blocks)` int64, bit `token % 63` of block `token // 63` set where the
            token can follow.
        children: `(nodes, blocks)` int32, the node that the lowest bit of the block leads to.
        words: `(nodes,)` int32, the word that ends at a node, -1 where none does.
        left_out: words that the tokens cannot spell.
    """

    followers: np.ndarray
    children: np.ndarray
    words: np.ndarray
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: NgramModel, tokens: Tokens) -> Self:
        """Build the lexicon of an n-gram model's words, under their ids in the model.

        A word that cannot be spelt as written is tried in lower case, then in upper case. If
        several words get the same spelling, the word that is written so wins, or else the most
        probable one.
        """
        best: dict[tuple[int, ...], tuple[bool, float, int]] = {}
        left_out = []
        special = 3  # <unk>, <s> and </s> are never spoken
        for place, written in enumerate(model.words[special:], special):
            word = unicodedata.normalize("NFC", written)
            spellings = ((form, tokens.spell(form)) for form in (word, word.lower(), word.upper()))
            form, spelling = next((pair for pair in spellings if pair[1]), ("", None))
            if spelling is None:
                left_out.append(written)
                continue
            rank = (form == word, float(model.levels[0].log10[place]), place)
            key = tuple(spelling)
            best[key] = max(best.get(key, rank), rank)
        return cls(*_trie({key: rank[2] for key, rank in best.items()}, len(tokens)), (*left_out,))


def _trie(
    spellings: dict[tuple[int, ...], int], tokens: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.array([len(spelling) for spelling in spellings], np.int64)
    flat = np.array([token for spelling in spellings for token in spelling], np.int64)
    starts = np.cumsum(lengths) - lengths
    ids = np.array(list(spellings.values()), np.int64)

    node = np.zeros(len(lengths), np.int64)
    nodes, edges = 1, []
    words = [np.full(1, -1)]
    for depth in range(lengths.max(initial=0)):
        going = np.flatnonzero(lengths > depth)
        keys = node[going] * tokens + flat[starts[going] + depth]
        found, inverse = np.unique(keys, return_inverse=True)
        node[going] = nodes + inverse
        edges.append(np.stack([found // tokens, found % tokens, nodes + np.arange(len(found))]))
        ending = lengths == depth + 1
        level = np.full(len(found), -1)
        level[node[ending] - nodes] = ids[ending]
        words.append(level)
        nodes += len(found)

    blocks = -(-tokens // BLOCK)
    followers = np.zeros((nodes, blocks), np.int64)
    children = np.full((nodes, blocks), nodes, np.int64)
    if edges:
        parents, labels, targets = np.concatenate(edges, 1)
        place = (parents, labels // BLOCK)
        np.bitwise_or.at(followers, place, np.int64(1) << labels % BLOCK)
        np.minimum.at(children, place, targets)
    return followers, children.astype(np.int32), np.concatenate(words).astype(np.int32)
