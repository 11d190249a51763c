"""Tagging: what its figures, answers, baseline and report are."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from apps.components import Baseline
from apps.data import Examples
from apps.data.tagged.schemes import TokenSpan, spans_of
from apps.layers.crf import CRF
from apps.tasks.tagging import Tagging, TaggingConfig
from apps.tasks.tagging.sections import tagging_sections
from apps.tasks.tagging.tag_set import TagSet

TYPES = ("loc", "per")
PLACES = np.array([[[0, 3], [4, 7], [8, 12], [13, 14]]], np.int32)


def task(scheme: str = "BIOES") -> Tagging:
    bound = Tagging().bound(TaggingConfig(scheme=scheme), 0, {})
    rows = [((0, 3, kind),) for kind in TYPES]
    made = bound.adapt(Examples({"text": ["Ann"] * 2, "spans": rows}, ["", ""], ""))
    bound.adapted = made
    return bound


def emissions(tags: list[list[int]], size: int) -> dict[str, np.ndarray]:
    """What a model puts out that is sure of these tags."""
    scores = 20 * np.eye(size, dtype=np.float32)[np.array(tags)]
    crf = CRF(np.ones((size + 1, size + 1), bool))
    return {name: value.numpy() for name, value in crf(tf.constant(scores)).items()}


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
def test_legal_sequences_are_just_those_that_spans_make(scheme: str) -> None:
    tag_set, size = TagSet(TYPES, scheme), 3
    legal = tag_set.legal
    assert legal.shape == (len(tag_set) + 1,) * 2
    for tags in itertools.product(range(len(tag_set)), repeat=size):
        path = [len(tag_set), *tags, len(tag_set)]
        allowed = all(legal[pair] for pair in itertools.pairwise(path))
        spans = spans_of([tag_set.names[tag] for tag in tags])
        assert allowed == (tag_set.encode(spans, size).tolist() == list(tags)), tags


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
def test_tags_give_their_spans_back_unknown_types_too(scheme: str) -> None:
    tag_set, draw = TagSet(TYPES, scheme), random.Random(4)
    rows, expected = [], []
    for row in range(200):
        place = 0
        spans = []
        for _ in range(draw.randint(0, 4)):
            first = place + draw.randint(0, 2)
            place = first + draw.randint(1, 3)
            spans.append(TokenSpan(first, place - 1, draw.choice((*TYPES, "new"))))
        rows.append(tag_set.encode(spans, place + 1))
        kinds = {"loc": 0, "per": 1, "new": 2}
        expected += [[row, span.first, span.last, kinds[span.type]] for span in spans]
    lengths = np.array([len(row) for row in rows])
    # Padding that looks like tags is none.
    tags = np.full((len(rows), lengths.max() + 2), 1)
    for target, filled in zip(tags, rows, strict=True):
        target[: len(filled)] = filled
    assert tag_set.found(tags, lengths).tolist() == expected


def test_figures_are_those_of_spans() -> None:
    own = task("IOB2")
    names = own.tag_set.names
    assert names == ("O", "B-loc", "I-loc", "B-per", "I-per")
    truth = np.array([[1, 2, 0, 3], [0, 5, 6, 0], [3, 0, 0, 0]])
    said = [[1, 2, 0, 1], [0, 0, 3, 0], [3, 0, 0, 1]]
    lengths = np.array([4, 4, 3], np.int32)
    found = own.statistics({"tags": truth, "lengths": lengths}, emissions(said, len(names)))
    same = own.statistics({"tags": truth, "lengths": lengths}, np.array(said))
    np.testing.assert_array_equal(found["spans"], same["spans"])
    # True: loc, per; new; per. Said: loc, loc; per; per (what stands in padding does not count).
    figures = own.measure(found)
    assert figures == {
        "f1": pytest.approx(2 * 2 / (4 + 4)),
        "precision": pytest.approx(2 / 4),
        "recall": pytest.approx(2 / 4),
        "sentences": pytest.approx(1 / 3),
    }
    by_class = own.by_class(found)
    assert by_class["loc"] == {
        "f1": pytest.approx(2 / 3),
        "precision": 0.5,
        "recall": 1,
        "spans": 1,
    }
    assert by_class["(other)"]["spans"] == 1
    half = {name: values[:1] for name, values in found.items()}
    assert own.measure(half)["precision"] == pytest.approx(1 / 2)


def test_loss_counts_tags_that_the_model_lacks_as_outside() -> None:
    own = task("IOB2")
    outputs = {n: tf.constant(v) for n, v in emissions([[0, 0, 3]], 5).items()}
    lengths = tf.constant([3])
    losses = [
        float(own.loss({"tags": tf.constant([tags]), "lengths": lengths}, outputs))
        for tags in ([0, 0, 3], [5, 6, 3], [1, 2, 3])
    ]
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] < 1e-3 < 10 < losses[2]


def test_answers_name_spans_where_they_stand_with_their_probability() -> None:
    own = task()
    size = len(own.tag_set)
    draw = np.random.default_rng(5)
    crf = own.adapted["crf"]
    scores = crf(tf.constant(draw.normal(0, 2, (1, 4, size)), tf.float32))
    inputs = {
        "lengths": tf.constant([4]),
        "starts": tf.constant(PLACES[:, :, 0]),
        "ends": tf.constant(PLACES[:, :, 1]),
    }
    found = {name: value.numpy() for name, value in own.answers(scores, inputs).items()}
    # All legal sequences and what each scores.
    legal, values = own.tag_set.legal, scores["emissions"].numpy()[0].astype(np.float64)
    moves = scores["transitions"].numpy()[0].astype(np.float64)
    paths = {}
    for tags in itertools.product(range(size), repeat=4):
        path = [size, *tags, size]
        if all(legal[pair] for pair in itertools.pairwise(path)):
            moved = sum(moves[pair] for pair in itertools.pairwise(path))
            paths[tags] = moved + values[range(4), list(tags)].sum()
    best = max(paths, key=paths.__getitem__)
    spans = spans_of([own.tag_set.names[tag] for tag in best])
    assert spans
    assert found["spans_counts"].tolist() == [len(spans)]
    total = np.logaddexp.reduce(list(paths.values()))
    for i, span in enumerate(spans):
        assert found["spans_start"][0, i] == PLACES[0, span.first, 0]
        assert found["spans_end"][0, i] == PLACES[0, span.last, 1]
        assert found["spans_type"][0, i].decode() == span.type
        part = slice(span.first, span.last + 1)
        same = [score for tags, score in paths.items() if tags[part] == best[part]]
        share = np.exp(np.logaddexp.reduce(same) - total)
        assert found["spans_score"][0, i] == pytest.approx(share, abs=1e-6)


def test_a_text_without_tokens_has_no_spans_whatever_the_model_says() -> None:
    own = task()
    tags = [[own.tag_set.names.index("S-per")]] * 2
    outputs = {n: tf.constant(v) for n, v in emissions(tags, len(own.tag_set)).items()}
    inputs = {
        "lengths": tf.constant([1, 1]),
        "starts": tf.constant([[0], [2]]),
        "ends": tf.constant([[0], [5]]),
    }
    found = own.answers(outputs, inputs)
    assert found["spans_counts"].numpy().tolist() == [0, 1]
    assert found["spans_end"].numpy().tolist() == [[0], [5]]


@pytest.mark.parametrize(("rows", "shift"), [(150, True), (20, False)])
def test_the_weight_of_outside_is_chosen_where_there_are_enough_spans(
    rows: int, shift: bool
) -> None:
    own = task("IOB2")
    person = own.tag_set.names.index("B-per")
    crf = own.adapted["crf"]
    draw = np.random.default_rng(6)
    truth = np.zeros((rows, 3), np.int32)
    truth[:, 1] = person
    scores = np.full((rows, 3, 5), -9, np.float32)
    scores[:, :, 0] = 0
    # A span scores less than O does, but more than elsewhere.
    scores[:, :, person] = -3
    scores[:, 1, person] = draw.normal(-1, 0.1, rows)
    crf.build((None, None, 5))
    outputs = [
        {k: v.numpy() for k, v in crf(tf.constant(scores[part])).items()}
        for part in (slice(0, rows // 2), slice(rows // 2, rows))
    ]
    halves = (slice(0, rows // 2), slice(rows // 2, rows))
    told = [{"tags": truth[half], "lengths": np.full(rows, 3, np.int32)[half]} for half in halves]
    own.calibrate(list(zip(told, outputs, strict=True)))
    again = {name: value.numpy() for name, value in crf(tf.constant(scores)).items()}
    batch = {"tags": truth, "lengths": np.full(rows, 3, np.int32)}
    before = {**outputs[0], "emissions": scores, "transitions": again["transitions"]}
    assert own.measure(own.statistics(batch, before))["f1"] < 0.01
    assert (own.measure(own.statistics(batch, again))["f1"] > 0.99) is shift
    assert bool(crf.shift.numpy()[0] < 0) is shift
    assert not crf.shift.numpy()[1:].any()


def mentions() -> tuple[Tagging, Baseline, Examples]:
    own = task()
    texts = ["New York and York", "old York", "in New York", "Ann york", "Ann runs", "ann"]
    spans = [
        ((0, 8, "loc"),),
        ((4, 8, "loc"),),
        ((3, 11, "loc"),),
        ((0, 3, "per"),),
        ((0, 3, "per"),),
        (),
    ]
    rows = Examples({"text": texts, "spans": spans}, texts, "data")
    baseline = own.baselines()["mentions"]
    baseline.fit(rows)
    return own, baseline, rows


def test_mentions_of_the_training_rows_are_found_again_the_longest_first() -> None:
    own, baseline, _ = mentions()
    texts = ["To NEW YORK , Ann !", "York", "nobody", ""]
    found = baseline.predict(Examples({"text": texts}, texts, "data"))
    lengths = np.array([6, 1, 1, 1])
    # York alone was a place in one of five mentions, Ann a person in two of three.
    assert own.tag_set.found(found, lengths).tolist() == [[0, 1, 2, 0], [0, 4, 4, 1]]


def test_the_baseline_survives_its_state() -> None:
    own, baseline, rows = mentions()
    again = own.baselines()["mentions"]
    again.restore(baseline.state())
    np.testing.assert_array_equal(again.predict(rows), baseline.predict(rows))
    assert all(array.dtype != object for array in baseline.state().values())


ROW = {
    "place": "data row 1",
    "input": "<b>Ann</b> met Bo in Rio & Oslo",
    "truth": [[3, 6, "per"], [15, 17, "per"], [21, 24, "loc"]],
    "spans": [
        {"start": 3, "end": 6, "type": "per", "score": 0.9},
        {"start": 15, "end": 17, "type": "loc", "score": 0.6},
        {"start": 27, "end": 31, "type": "loc", "score": 0.5},
    ],
    "unseen": [[15, 17], [27, 31]],
}


def test_report_shows_found_missed_and_invented_spans_with_the_text_escaped() -> None:
    sections = {s.title: s.html for s in tagging_sections([ROW], TYPES)}
    sentences = sections["Spans in their sentences"]
    assert "<b>Ann" not in sentences
    assert '<span class="span found">Ann<small>per 90' in sentences
    assert '<span class="span missed">Bo<small>per</small>' in sentences
    assert '<span class="span invented">Bo<small>loc 60' in sentences
    assert '<span class="span missed">Rio' in sentences
    assert '<span class="span invented">Oslo' in sentences


def test_report_counts_confusions_and_unseen_words() -> None:
    sections: dict[str, Any] = {s.title: s.html for s in tagging_sections([ROW], TYPES)}
    table = " ".join(sections["Types taken for others"].split())
    assert '<td><bdi class="label">per</bdi></td><td><bdi class="label">loc</bdi></td>' in table
    assert '<td><em>nothing</em></td><td><bdi class="label">loc</bdi></td>' in table
    unseen = " ".join(sections["Words never seen"].split())
    # With unseen words: one true span, none found; two answers.
    assert 'never seen</th><td class="number">1</td><td class="number">0.0' in unseen


@pytest.mark.parametrize("rows", [[], [{**ROW, "truth": [], "spans": [], "unseen": []}]])
def test_report_without_any_span(rows: list[dict[str, Any]]) -> None:
    assert len(tagging_sections(rows, TYPES)) == 4
