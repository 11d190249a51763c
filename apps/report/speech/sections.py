"""Sections of speech applications, made from rows of `predictions.jsonl` alone.

A row holds:

- `place`, `input`: texts that say where the example stands, and its file.
- `truth`: the keyword or the transcript.
- `label` and `probabilities` (keyword to probability), or `text` and, if known, `confidence` (a
  fraction): the answer. A row with `text` is a transcript.
- `seconds`: length of the recording.
- `speaker`: who speaks, if the data says so.
- `audio`: what `apps.report.speech.players.audio_evidence` made, on a few rows.
- `track`: what `attention_track` or `ctc_track` made, on a few rows.

`apps.report.speech.players.add_evidence` chooses those rows and fills in the last two.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from apps.report.quantities import finite
from apps.report.sections import Section
from apps.report.speech import charts
from apps.report.speech.mistakes import ErrorRate, Judged, error_rate, instructive, judge, worst
from apps.report.templates import render

_WORST = 10
_PICTURES = 6
_SPEAKERS = 30
_LENGTHS = 6
_CONFUSIONS = 15
_ALIGNED = 120


def keyword_sections(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Spectrograms with attention, the worst ten with players, errors by speaker and length.

    Args:
        rows: all rows of `predictions.jsonl`.

    Returns:
        The sections in the order in which they are read.
    """
    judged = judge(rows)
    return [
        spectrograms(judged),
        worst_with_players(judged),
        error_by_speaker(judged),
        error_by_length(judged),
    ]


def transcription_sections(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    """As for keywords, but with CTC posteriors, alignments and the words that were confused.

    Args:
        rows: all rows of `predictions.jsonl`.

    Returns:
        The sections in the order in which they are read.
    """
    judged = judge(rows)
    return [
        spectrograms(judged),
        worst_with_players(judged),
        word_confusions(judged),
        error_by_speaker(judged),
        error_by_length(judged),
    ]


def spectrograms(judged: Sequence[Judged]) -> Section:
    """A few recordings as the model sees them, and when it recognised what.

    Args:
        judged: all rows; those with a spectrogram are shown, six at most.

    Returns:
        A chart for each: the spectrogram and, on the same time axis, attention or CTC posteriors.
    """
    order = dict.fromkeys([*instructive(judged, _PICTURES), *range(len(judged))])
    shown = [i for i in order if _has_picture(judged[i])][:_PICTURES]
    pictures = [
        {**_summary(judged[position]), "chart": _chart(number, judged[position])}
        for number, position in enumerate(shown)
    ]
    html = render(
        "speech/spectrograms.html.j2",
        pictures=pictures,
        transcripts=any("tokens" in judged[i].row["track"] for i in shown),
    )
    return Section("Spectrograms", html)


def worst_with_players(judged: Sequence[Judged]) -> Section:
    """The ten worst answers with their sound.

    Args:
        judged: all rows.

    Returns:
        A player, truth and answer for each; a transcript's words are aligned, errors marked.
    """
    rows = [
        {
            **_summary(judged[position]),
            "audio": judged[position].row.get("audio") or {},
            "edits": judged[position].edits[:_ALIGNED],
            "more": max(0, len(judged[position].edits) - _ALIGNED),
        }
        for position in worst(judged, _WORST)
    ]
    html = render(
        "speech/worst.html.j2",
        rows=rows,
        mistaken=sum(one.errors > 0 for one in judged),
        total=len(judged),
        transcripts=_are_transcripts(judged),
    )
    return Section("Worst examples", html)


def error_by_speaker(judged: Sequence[Judged]) -> Section:
    """Which speakers the model understands badly.

    Args:
        judged: all rows; those without a speaker are counted and left out.

    Returns:
        Chart and table of the 30 speakers with the most errors; one sentence where the data names
        no speakers.
    """
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        speaker = one.row.get("speaker")
        if speaker is not None and str(speaker).strip():
            groups[str(speaker)].append(one)
    rates = [(speaker, error_rate(group)) for speaker, group in groups.items()]
    rates.sort(key=lambda pair: (-pair[1].errors, -pair[1].units, pair[0]))
    html = render(
        "speech/speakers.html.j2",
        groups=rates[:_SPEAKERS],
        speakers=len(rates),
        nameless=len(judged) - sum(map(len, groups.values())),
        rest=_pooled(rate for _, rate in rates[_SPEAKERS:]),
        **_shared("speakers", judged, rates[:_SPEAKERS]),
    )
    return Section("Error by speaker", html)


def error_by_length(judged: Sequence[Judged]) -> Section:
    """Whether short or long recordings are understood worse.

    Args:
        judged: all rows.

    Returns:
        Chart and table of up to six lengths with about equally many examples; one sentence where
        all examples are of one length.
    """
    known = [one for one in judged if finite(one.row.get("seconds"))]
    seconds = np.array([one.row["seconds"] for one in known], np.float64)
    edges, digits = _length_edges(seconds)
    place = np.searchsorted(edges, seconds, side="right")
    groups = []
    for number in range(len(edges) + 1):
        members = [one for one, its in zip(known, place, strict=True) if its == number]
        if members:
            groups.append((_length_name(edges, number, digits), error_rate(members)))
    html = render(
        "speech/lengths.html.j2",
        groups=groups,
        seconds=seconds.tolist(),
        **_shared("lengths", known, groups),
    )
    return Section("Error by length", html)


def word_confusions(judged: Sequence[Judged]) -> Section:
    """Which words are substituted, deleted and inserted.

    Args:
        judged: all rows of a transcription.

    Returns:
        The numbers of errors of each kind, and the most frequent ones of each.
    """
    edits = [edit for one in judged for edit in one.edits]
    kinds = Counter(edit.kind for edit in edits)
    said = Counter(edit.reference for edit in edits if edit.kind != "insertion")

    def frequent(kind: str) -> list[dict[str, Any]]:
        counts = Counter((e.reference, e.hypothesis) for e in edits if e.kind == kind)
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [
            {"reference": reference, "hypothesis": hypothesis, "count": n, "said": said[reference]}
            for (reference, hypothesis), n in ordered[:_CONFUSIONS]
        ]

    html = render(
        "speech/words.html.j2",
        whole=error_rate(judged),
        kinds=kinds,
        substitutions=frequent("substitution"),
        deletions=frequent("deletion"),
        insertions=frequent("insertion"),
    )
    return Section("Word confusions", html)


def _are_transcripts(judged: Sequence[Judged]) -> bool:
    return any("text" in one.row for one in judged)


def _has_picture(one: Judged) -> bool:
    return "spectrogram" in (one.row.get("audio") or {}) and bool(one.row.get("track"))


def _chart(number: int, one: Judged) -> Markup:
    audio, track = one.row["audio"], one.row["track"]
    draw = charts.ctc_chart if "tokens" in track else charts.attention_chart
    return draw(f"spectrogram-{number + 1}", audio, track)


def _summary(one: Judged) -> dict[str, Any]:
    """What templates show of one example."""
    row = one.row
    probability = (row.get("probabilities") or {}).get(row.get("label"), row.get("confidence"))
    return {
        "place": row.get("place", ""),
        "input": row.get("input", ""),
        "seconds": row.get("seconds"),
        "speaker": row.get("speaker"),
        "truth": row.get("truth") or "",
        "answer": one.answer,
        "probability": probability,
        "errors": one.errors,
        "units": one.units,
        "transcript": "text" in row,
    }


def _shared(
    name: str, judged: Sequence[Judged], groups: Sequence[tuple[str, ErrorRate]]
) -> dict[str, Any]:
    """What the templates of grouped rates have in common: the whole, the names, the chart."""
    transcripts = _are_transcripts(judged)
    title = "word error rate" if transcripts else "error rate"
    whole = error_rate(judged)
    drawn = [(label, rate) for label, rate in groups if rate.units]
    chart = charts.rates_chart(name, title, drawn, whole.value) if len(drawn) > 1 else None
    return {"whole": whole, "transcripts": transcripts, "title": title, "chart": chart}


def _pooled(rates: Iterable[ErrorRate]) -> ErrorRate:
    """Several groups as one, without an interval."""
    table = [(rate.rows, rate.units, rate.errors) for rate in rates]
    rows, units, errors = (
        (sum(column) for column in zip(*table, strict=True)) if table else (0,) * 3
    )
    return ErrorRate(rows, units, errors, None)


def _length_edges(seconds: np.ndarray) -> tuple[np.ndarray, int]:
    """Rounded lengths that divide the examples into groups of similar size, and their decimals."""
    spread = float(np.ptp(seconds)) if seconds.size else 0.0
    if spread < 0.01:
        return np.zeros(0), 2
    digits = max(0, 1 - math.floor(math.log10(spread)))
    shares = np.linspace(0, 1, _LENGTHS + 1)[1:-1]
    return np.unique(np.round(np.quantile(seconds, shares), digits)), digits


def _length_name(edges: np.ndarray, number: int, digits: int) -> str:
    if not len(edges):
        return "all"
    if number == 0:
        return f"below {edges[0]:.{digits}f} s"
    if number == len(edges):
        return f"{edges[-1]:.{digits}f} s and more"
    return f"{edges[number - 1]:.{digits}f} to {edges[number]:.{digits}f} s"
