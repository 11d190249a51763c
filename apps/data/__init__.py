"""From a source of data to validated examples, splits and length-bucketed batches."""

from apps.data.audio import Clip
from apps.data.batches import Prepared, dataset
from apps.data.buckets import (
    Batch,
    LengthBuckets,
    epoch_batches,
    in_order,
    padding_share,
    sorted_batches,
)
from apps.data.columns import Column, Kind, parse_rename
from apps.data.examples import Examples
from apps.data.ragged import RaggedRows
from apps.data.sources import read
from apps.data.splits import split

__all__ = [
    "Batch",
    "Clip",
    "Column",
    "Examples",
    "Kind",
    "LengthBuckets",
    "Prepared",
    "RaggedRows",
    "dataset",
    "epoch_batches",
    "in_order",
    "padding_share",
    "parse_rename",
    "read",
    "sorted_batches",
    "split",
]
