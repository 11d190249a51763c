"""docs/results.md and the block of README.md, made of the files of results and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from apps.report.quantities import MISSING, capital, words
from benchmarks.experiment import Experiment, Published
from benchmarks.experiment_runs import Result
from benchmarks.experiments import EXPERIMENTS
from benchmarks.result_figures import Seeds, best, by_origin, mean, metric_of, reached, written

Results = Mapping[tuple[str, int], Result]
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
_HEAD = """# Results

This page is made of the files in [one folder](../benchmarks/results/applications) by
`python -m benchmarks.results --tables`; a test fails where the two differ. `make results` runs
what is missing.

- In commands `DATA` is the data folder, `RUN` the run folder and `MADE` a folder with files that
  `benchmarks/experiment_files.py` makes of the data: recordings of FSDD without those of a speaker
  and that speaker's alone, the last tenth of Shakespeare.
- A figure of several seeds is their mean, with ± the standard deviation over them and each seed's.
  That of one seed has the 95 % bootstrap interval of the test rows. Baselines of several seeds are
  means too. Minutes are wall-clock minutes of the training, for NAB of the whole command.
- Rates are fractions; BLEU, chrF and NAB's score go to 100. Published figures are as their authors
  give them.
- † was transcribed from an earlier README.md, whose raw results were not kept; a run replaces it.
"""


def page(results: Results) -> str:
    """The whole of docs/results.md."""
    parts = [_HEAD]
    ordered = sorted(EXPERIMENTS, key=lambda one: one.application)
    for application, experiments in groupby(ordered, lambda one: one.application):
        parts.append(f"## {application}\n")
        entries = [(one, by_origin(one, results)) for one in experiments]
        rows = [(one, found) for one, found in entries if found]
        tables = list(dict.fromkeys(one.group or one.name for one, _ in rows))
        for table in tables:
            own = [pair for pair in rows if table in (pair[0].group, pair[0].name)]
            parts.append(_wide(own) if own[0][0].group else _tall(*own[0]))
        absent = [one.name for one, found in entries if not found]
        if absent:
            parts.append(f"Not run yet: {', '.join(f'`{name}`' for name in absent)}.\n")
    return "\n".join(parts)


def block(results: Results) -> str:
    """The lines of README.md between its two marks: one for each application."""
    lines = []
    daggers = False
    for one in sorted(EXPERIMENTS, key=lambda one: one.application):
        found = by_origin(one, results)
        if not one.headline or not found:
            continue
        seeds, metric = found[0], metric_of(one, one.metric)
        large = seeds.large(one.metric)
        baselines = seeds.others("baselines", one.metric)
        rival = best(metric, baselines)
        published = {
            p.label: (max if metric.better == "higher" else min)(p.values) for p in one.published
        }
        strongest = best(metric, published)
        figures = next((p for p in one.published if p.label == strongest), None)
        uncertainty = seeds.uncertainty(one.metric, each=False)
        title = f"{one.group}: {one.title}" if one.group else one.title
        ours = f"**{seeds.said(one.metric)}**{seeds.mark}"
        lines.append(
            _row(
                f"`{one.application}`",
                title,
                f"{metric.title}{_LOWER[metric.better]}",
                f"{ours}, {uncertainty}" if uncertainty else ours,
                f"{words(rival)} {written(baselines[rival], large)}" if rival else MISSING,
                f"{figures.label} {_figures(figures)}" if figures else MISSING,
            )
        )
        daggers |= bool(seeds.mark)
    told = "With ± over seeds, or the 95 % interval of one. "
    if daggers:
        told += "† of an earlier run, whose raw figures were not kept. "
    told += "All tables, commands, minutes and machines: [docs/results.md](docs/results.md)."
    head = ("application", "measured on", "metric", "ours", "best baseline", "best published")
    return "\n".join([*_head(head), *lines, "", told, ""])


def with_block(readme: str, lines: str) -> str:
    """The text of README.md with the lines between its marks; as it is where they are absent."""
    before, begin, rest = readme.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    return f"{before}{begin}{lines}{end}{after}" if begin and end else readme


_LOWER = {"lower": ", lower is better", "higher": "", "neither": ""}


def _tall(one: Experiment, found: Sequence[Seeds]) -> str:
    """A table of one experiment: models are rows, metrics are columns."""
    metric, names = metric_of(one, one.metric), (one.metric, *one.more)
    large = {name: found[0].large(name) for name in names}
    titles = [metric_of(one, name) for name in names]
    named = [f"{each.title}{_LOWER[each.better]}" for each in titles]
    lines = _head((one.evaluations[0].on, named[0], "spread or 95 % interval", *named[1:]))
    lines += _others(found[0], "baselines", "{}", names, large)
    for seeds in found:
        label = f"**`{one.application}`**, {seeds.seeds}{seeds.mark}"
        figures = [seeds.said(name) for name in names]
        lines.append(_row(label, f"**{figures[0]}**", seeds.uncertainty(one.metric), *figures[1:]))
        told = f"`{one.application}`, {{}}, {seeds.seeds}{seeds.mark}"
        lines += _others(seeds, "decoders", told, names, large)
        for other in one.evaluations[1:]:
            if seeds.measured(other.on):
                figures = [seeds.said(name, other.on) for name in names]
                label = f"the same on {other.on}{seeds.mark}"
                uncertainty = seeds.uncertainty(one.metric, other.on)
                lines.append(_row(label, figures[0], uncertainty, *figures[1:]))
    lines += [
        _row(
            f"published: {each.label}",
            _figures(each),
            "",
            *([""] * len(one.more)),
        )
        for each in one.published
    ]
    value = mean(found[0].values(one.metric))
    verdict = _verdict(metric, value, one.bar)
    return _section(one.title, lines, verdict, found)


def _wide(rows: Sequence[tuple[Experiment, Sequence[Seeds]]]) -> str:
    """A table of several experiments: each is a row, baselines are columns."""
    first = rows[0][0]
    metric = metric_of(first, first.metric)
    every = [seeds for _, found in rows for seeds in found]
    large = any(seeds.large(first.metric) for seeds in every)
    columns = {id(seeds): seeds.others("baselines", first.metric) for seeds in every}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    head = ("", f"`{first.application}`", "spread or 95 % interval", *map(words, names))
    lines = _head((*head, "seeds", "training"))
    for seeds in every:
        lines.append(
            _row(
                f"{seeds.experiment.title}{seeds.mark}",
                f"**{seeds.said(first.metric)}**",
                seeds.uncertainty(first.metric),
                *(written(columns[id(seeds)].get(name), large) for name in names),
                seeds.seeds.partition(" ")[2],
                seeds.minutes(),
            )
        )
    average = None
    whole = len(rows) == sum(one.group == first.group for one in EXPERIMENTS)
    if first.averaged and whole:
        chosen = [found[0] for _, found in rows]
        average = mean(mean(seeds.values(first.metric)) for seeds in chosen)
        others = [mean(columns[id(seeds)].get(name) for seeds in chosen) for name in names]
        shown = [written(value, large) for value in others]
        mark = max(seeds.mark for seeds in chosen)
        lines.append(_row(f"**mean**{mark}", f"**{written(average, large)}**", "", *shown, "", ""))
    told = f"{capital(metric.title)}{_LOWER[metric.better]}. "
    told += _verdict(metric, average, first.bar)
    return _section(first.group, lines, told.strip(), every)


def _section(title: str, lines: list[str], verdict: str, found: Sequence[Seeds]) -> str:
    """Title, table, what is said below it, commands, seeds, minutes, machines."""
    commands = [command for seeds in found for command in seeds.results[0]["commands"]]
    told = [verdict] if verdict else []
    told += dict.fromkeys(
        str(one["note"]) for each in found for one in each.results if "note" in one
    )
    if any(len(seeds.results) > 1 for seeds in found):
        told.append("Other seeds: the same with another `--seed`.")
    clock = found[0].experiment.ends == "minutes"
    told.append(f"{'The clock ends' if clock else 'Epochs end'} the training.")
    took = [_took(seeds) for seeds in found] if len(found) < 3 else []
    machines = _machines(one for each in found for one in each.results)
    parts = [f"### {capital(title)}", "", *lines, "", " ".join(told), "", "```sh"]
    parts += [*dict.fromkeys(commands), "```", "", *took, *machines, ""]
    return "\n".join(parts)


def _took(seeds: Seeds) -> str:
    told = f"{capital(seeds.seeds)}{seeds.mark}: {seeds.minutes()}"
    for key, text in (("cpu_minutes", "{} processor minutes"), ("epochs", "{} epochs")):
        if all(key in one for one in seeds.results):
            told += ", " + text.format(", ".join(str(one[key]) for one in seeds.results))
    return f"{told}.  "


def _machines(results: Iterable[Result]) -> list[str]:
    """A line for each machine with its versions; days and loads of all runs on it together."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in results:
        about = one["machine"]
        if isinstance(about, str):
            found.setdefault(f"{about}.  ", [])
            continue
        versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        name = f"{about['processor']}, {about['cores']} cores, {versions}"
        found.setdefault(name, []).append(about)
    return [_with_loads(name, abouts) if abouts else name for name, abouts in found.items()]


def _with_loads(name: str, abouts: Sequence[Mapping[str, Any]]) -> str:
    loads = [load for one in abouts for load in (one["load"], one["load_at_the_end"])]
    days = ", ".join(sorted({one["date"] for one in abouts}))
    return f"{name}; {days}; load average {min(loads)} to {max(loads)}.  "


def _others(
    seeds: Seeds, kind: str, label: str, names: Iterable[str], large: Mapping[str, bool]
) -> list[str]:
    """A row for each of the baselines or decoders."""
    by_metric = {name: seeds.others(kind, name) for name in names}
    rows = []
    for other in next(iter(by_metric.values())):
        figures = [written(by_metric[name][other], large[name]) for name in by_metric]
        rows.append(_row(label.format(words(other)), figures[0], "", *figures[1:]))
    return rows


def _verdict(metric: Any, value: float | None, bar: float | None) -> str:
    if bar is None or value is None:
        return ""
    told = "reached" if reached(metric, value, bar) else "**missed**"
    return f"The bar of {bar:g} is {told}."


def _figures(published: Published) -> str:
    return " to ".join(published.figures)


def _head(titles: Sequence[str]) -> list[str]:
    return [_row(*titles), "|" + "---|" * len(titles)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
