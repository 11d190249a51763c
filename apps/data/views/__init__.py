"""Views: what a step of training is made of, and in which order."""

from apps.data.views.buckets import (
    Batch,
    LengthBuckets,
    epoch_batches,
    in_order,
    padding_share,
    sorted_batches,
)
from apps.data.views.pipeline import dataset
from apps.data.views.rows import Rows
from apps.data.views.token_stream import TokenStream
from apps.data.views.view import ArraySpec, View

__all__ = [
    "ArraySpec",
    "Batch",
    "LengthBuckets",
    "Rows",
    "TokenStream",
    "View",
    "dataset",
    "epoch_batches",
    "in_order",
    "padding_share",
    "sorted_batches",
]
