"""What a user hands in."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from apps.components.component import Component, Tensors
from apps.configuration import Options
from apps.data import Column, Examples, split
from apps.data.fingerprint import row_digests
from apps.data.sequences import Stored
from apps.errors import UserError
from apps.following import Annotator, Chunk
from apps.page_field import PageField, WholeField
from apps.signatures import Signature

# Rows to validate on: an accuracy of 0.9 is known to 0.002 by them, and each epoch waits for them.
_MOST_HELD_OUT = 20_000


class Input(Component, ABC):
    """What a user hands in.

    Attributes:
        attributes: optional columns that describe a row further, such as its speaker.
        aligned: tensors, where there are such, with one entry for each step of the main sequence.
        entry: name of the entry point that takes all of its raw inputs.
        page_field: its field on the browser page; None for a box that takes text or JSON.
        for_one: settings under which one series is trained where each gets a model of its own.
        stream_options: options of `stream` on how chunks are cut; its docstring is the help.
    """

    attributes: Mapping[str, Column] = {}
    aligned: tuple[str, ...] = ()
    entry: ClassVar[str] = "serving_default"
    for_one: ClassVar[Mapping[str, Any]] = {}
    page_field: ClassVar[PageField | WholeField | None] = None
    stream_options: ClassVar[type[Options]] = Options

    def split(
        self, examples: Examples, fraction: float, stratify: str | None
    ) -> tuple[Examples, Examples]:
        """Training and validation rows.

        Args:
            examples: checked rows.
            fraction: share that validation gets, between 0 and 1; less where rows are very many.
            stratify: column whose values have the same proportions on both sides, where there is
                one.

        Raises:
            UserError: the rows cannot be divided.
        """
        fraction = min(fraction, _MOST_HELD_OUT / max(len(examples), 1))
        return split(examples, fraction, self.seed, stratify=stratify)

    @property
    def trains_each(self) -> bool:
        """Whether each series gets a model of its own."""
        return False

    def each(self, examples: Examples) -> dict[str, Examples]:
        """Checked rows by the name of their series, where each series gets a model of its own."""
        raise NotImplementedError(type(self).__name__)

    def names_of(self, units: Examples) -> list[str]:
        """The series of each unit, where each series gets a model of its own."""
        raise NotImplementedError(type(self).__name__)

    def within(self, examples: Examples, since: str | None, until: str | None) -> Examples:
        """The rows of which only those from one moment to before another count.

        Rows before them serve as history.

        Args:
            examples: rows as they were read.
            since: a time or `#ROWS`; from the beginning where it is None.
            until: likewise; to the end where it is None.

        Raises:
            UserError: the rows have no time.
        """
        if since is None and until is None:
            return examples
        raise UserError("--since and --until: its rows stand in no order of time; leave them out")

    def labelled(self, examples: Examples, labels: str | os.PathLike[str]) -> Examples:
        """The rows with the labels that a file holds.

        Args:
            examples: rows as they were read.
            labels: a file of windows that are anomalies.

        Raises:
            UserError: the rows carry their labels in a column, or the file cannot be read.
        """
        raise UserError(f"--labels {labels}: its rows carry their labels; leave it out")

    def origins(self, examples: Examples, folds: int, given: bool) -> list[str]:
        """The moments at which a backtest trains anew, and the one at which it ends.

        Args:
            examples: rows as they were read, limited to those that are measured on.
            folds: stretches between the moments.
            given: whether the user has said where the first one begins.

        Returns:
            One more than there are folds, as `since` and `until` of `within` take them.

        Raises:
            UserError: the rows have no time, or are too few.
        """
        raise UserError("its rows stand in no order of time, so that nothing can be walked through")

    def overlap(self, examples: Examples, others: Sequence[Examples]) -> int:
        """How many units of some rows are also among others, whatever their targets.

        Args:
            examples: checked rows.
            others: checked rows of several sources.
        """
        known = {digest for rows in others for digest in row_digests(rows, self.columns)}
        return sum(digest in known for digest in row_digests(examples, self.columns))

    def units(self, examples: Examples) -> Examples:
        """The units that metrics count: the rows themselves, or what is cut from them (windows).

        Args:
            examples: checked rows of one side.

        Returns:
            One row per unit. The bootstrap draws units with the same value in a column `block`
            together.
        """
        return examples

    def asked(self, examples: Examples, metadata: Mapping[str, Any]) -> Examples:
        """The units that are answered where rows are neither learnt from nor measured on.

        Args:
            examples: rows as they were read.
            metadata: what the model says of itself; nothing else may be needed.
        """
        return self.units(examples)

    @abstractmethod
    def tensors(self, examples: Examples) -> dict[str, Stored | np.ndarray]:
        """The model's inputs for some units, made outside the graph.

        Returns:
            Columns as the view `Rows` takes them: the first sequence is the main one.
        """

    @abstractmethod
    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        """Symbolic inputs for what a client sends, by name."""

    def prepare(self, raw: Tensors) -> dict[str, Any]:
        """The model's inputs from raw ones, inside the graph; the same values as `tensors`."""
        return dict(raw)

    def step_names(self, units: Examples, prepared: Mapping[str, Any], steps: int) -> list[str]:
        """What each step of the main sequence of one unit is called where it is shown.

        Args:
            units: one.
            prepared: what `prepare` makes of it.
            steps: how many there are.
        """
        return [str(number) for number in range(steps)]

    @abstractmethod
    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Units as a client sends them.

        Args:
            examples: with the input's own columns.
            metadata: what the model says of itself; nothing else may be needed.
        """

    @abstractmethod
    def edge_cases(self) -> dict[str, np.ndarray]:
        """Raw inputs at the edge of what a model answers: empty, odd characters, silence."""

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """Further entry points, such as one that takes files.

        Args:
            serving: the entry point for raw input.
        """
        return {}

    def chunks(
        self, source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: Any
    ) -> Iterable[Chunk]:
        """Cut a file or standard input into chunks of a stream.

        Args:
            source: a file, which is opened at once, or standard input, whose `read` returns what
                has arrived so far.
            metadata: what the model says of itself; nothing else may be needed.
            options: `stream_options`.

        Raises:
            UserError: the source cannot be read, or this input does not stream.
        """
        raise UserError(f"{type(self).__name__} cannot be read as a stream; use `apps predict`")

    def annotator(self, source: Path | io.RawIOBase, options: Any) -> Annotator | None:
        """What draws the decisions onto a copy of the source, if the options ask for it.

        Args:
            source: as `chunks` takes it.
            options: `stream_options`.

        Raises:
            UserError: no copy can be written.
        """
        return None

    @abstractmethod
    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        """What a report shows of each unit: `input` and further JSON values, by name."""

    def telling(self, rows: Sequence[Mapping[str, Any]]) -> Iterable[int]:
        """Numbers of the few finished rows with which the report shows how they were read."""
        return ()

    def add_evidence(
        self,
        rows: Sequence[MutableMapping[str, Any]],
        examples: Examples,
        track: Callable[[Examples], Mapping[str, Any]] | None,
    ) -> None:
        """Add to a few rows of `predictions.jsonl`, in place, what the report shows of them.

        Args:
            rows: finished rows.
            examples: the units, in the same order.
            track: gives what the application can show of one unit; None where it can show nothing.
        """
        if track is not None:
            for number in self.telling(rows):
                rows[number].update(track(examples.select([number])))
