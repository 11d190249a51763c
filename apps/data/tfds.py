"""Reader of TensorFlow Datasets: `tfds:NAME[/config][:split]`."""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import os
from collections.abc import Iterator
from typing import Any

from apps.data.columns import Schema, quoted
from apps.data.kind import Collector
from apps.data.raw import Raw
from apps.errors import UserError

PREFIX = "tfds:"
_DEFAULT_SPLIT = "train"
# TFDS waits longer after each retry: without a network, 2 take less than 1 s, its 10 take 204 s.
_RETRIES = 2


def read_tfds(source: str, schema: Schema) -> Raw:
    """Read a prepared data set, downloading and preparing it first where there is a network.

    Args:
        source: `tfds:NAME[/config][:split]`, the split in TFDS's own notation
            (`test`, `train[:10%]`), by default `train`. Prepared data sets are looked for in
            `TFDS_DATA_DIR`, else in TFDS's default folder.
        schema: the wanted columns; the features are the source's fields.

    Returns:
        Unchecked values, as the kind of each column takes them from its feature.

    Raises:
        UserError: the data set, config or split is unknown, it is not prepared and cannot be
            downloaded, or it lacks a wanted column.
    """
    import tensorflow_datasets as tfds

    name, _, split = source.removeprefix(PREFIX).partition(":")
    split = split or _DEFAULT_SPLIT
    with _quiet():
        builder = _builder(name, source)
        if not builder.is_prepared():
            _prepare(builder, name, source)
        features = builder.info.features
        if not isinstance(features, tfds.features.FeaturesDict):
            raise UserError(f"{source} has no named features; it cannot be read")
        found = schema.match(list(features), source)
        beside = schema.beside(features, found.values())
        taken = [
            (field, schema.columns[column].kind.tfds(features[field]))
            for column, field in found.items()
        ]
        taken += [(field, Collector()) for field in beside]
        count = 0
        for row in _rows(builder, split, [field for field, _ in taken], source):
            count += 1
            for field, collector in taken:
                try:
                    collector.add(row[field])
                except UserError as error:
                    raise UserError(f"{source} row {count}: {error}") from None
        values = [collector.values() for _, collector in taken]
    columns = dict(zip(found, values[: len(found)], strict=True))
    places = [f"{source} row {i + 1}" for i in range(count)]
    return Raw(columns, places, source, dict(zip(beside, values[len(found) :], strict=True)))


def _rows(builder: Any, split: str, fields: list[str], source: str) -> Iterator[dict[str, Any]]:
    """The rows of a split, only the wanted features decoded."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    try:
        dataset = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(dict.fromkeys(fields, True)),
        )
    except ValueError:
        raise UserError(
            f"{source}: there is no split '{split}'; its splits are {quoted(builder.info.splits)}; "
            f"choose one: {PREFIX}NAME:SPLIT"
        ) from None
    try:
        yield from tfds.as_numpy(dataset)
    except tf.errors.OpError as error:
        raise UserError(
            f"{source}: the files in {builder.data_dir} cannot be read ({type(error).__name__}); "
            "delete that folder and prepare the data set again"
        ) from None


def _builder(name: str, source: str) -> Any:
    """The builder of a data set that TFDS knows or that lies prepared in its folder."""
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except tfds.core.registered.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name.partition("/")[0], known, n=1)
        suggestion = f"did you mean {PREFIX}{near[0]}?" if near else "check the name"
        raise UserError(
            f"{source}: TFDS has no data set '{name}' and none of that name is prepared in "
            f"{_data_dir()}; {suggestion}"
        ) from None
    except (ValueError, TypeError, AssertionError, ImportError) as error:
        configs = _configs(name)
        reason = f"its configs are {quoted(configs)}" if configs else _brief(error)
        raise UserError(
            f"{source}: '{name}' cannot be opened ({reason}); write {PREFIX}NAME[/config][:split]"
        ) from None


def _configs(name: str) -> list[str]:
    """The configs of a data set, none where the name itself is at fault."""
    import tensorflow_datasets as tfds

    with contextlib.suppress(ValueError, ImportError):
        return list(tfds.builder_cls(name.partition("/")[0]).builder_configs)
    return []


def _prepare(builder: Any, name: str, source: str) -> None:
    from tensorflow_datasets.core.download import downloader

    before = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = _RETRIES
    try:
        # Standard output belongs to the answers of the command line.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    # A builder's own code may raise anything; the remedy is the same.
    except Exception as error:
        raise UserError(
            f"{source} is not prepared in {_data_dir()} and preparing it failed "
            f"({_brief(error)}); prepare it where there is a network: python -c "
            f"\"import tensorflow_datasets as tfds; tfds.load('{name}')\", "
            "and point TFDS_DATA_DIR at the folder"
        ) from None
    finally:
        downloader.MAX_RETRIES = before


def _data_dir() -> str:
    import tensorflow_datasets as tfds

    return os.environ.get("TFDS_DATA_DIR") or str(tfds.core.constants.DATA_DIR)


def _brief(error: BaseException) -> str:
    text = str(error).strip() or "no reason given"
    return f"{type(error).__name__}: {text.splitlines()[0][:100]}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and warnings of TFDS off standard error, where errors are one line."""
    from tensorflow_datasets.core.utils import tqdm_utils

    disabled, bars = logging.root.manager.disable, tqdm_utils._active
    logging.disable(logging.WARNING)
    tqdm_utils.display_progress_bar(False)
    try:
        yield
    finally:
        tqdm_utils.display_progress_bar(bars)
        logging.disable(disabled)
