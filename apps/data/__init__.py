"""From a source of data to validated examples, splits and length-bucketed batches."""

from apps.data.columns import Column, parse_rename
from apps.data.examples import Examples
from apps.data.kinds.audio import audio
from apps.data.kinds.group import group
from apps.data.kinds.label import label
from apps.data.kinds.number import number
from apps.data.kinds.text import text, transcript
from apps.data.kinds.time import time
from apps.data.recordings.clip import Clip
from apps.data.sequences import LazyRows, Sequences
from apps.data.sources import read
from apps.data.splits import split
from apps.data.views import (
    Batch,
    LengthBuckets,
    Rows,
    RowStream,
    TokenStream,
    View,
    dataset,
    epoch_batches,
    sorted_batches,
)
from apps.data.windows import Windows, split_by_time

__all__ = [
    "Batch",
    "Clip",
    "Column",
    "Examples",
    "LazyRows",
    "LengthBuckets",
    "RowStream",
    "Rows",
    "Sequences",
    "TokenStream",
    "View",
    "Windows",
    "audio",
    "dataset",
    "epoch_batches",
    "group",
    "label",
    "number",
    "parse_rename",
    "read",
    "sorted_batches",
    "split",
    "split_by_time",
    "text",
    "time",
    "transcript",
]
