"""Views: the batches that training and measuring are made of, and their order."""

from apps.data.views.buckets import Batch, LengthBuckets, epoch_batches, sorted_batches
from apps.data.views.pipeline import dataset
from apps.data.views.row_stream import RowStream
from apps.data.views.rows import Rows
from apps.data.views.token_stream import TokenStream
from apps.data.views.view import ArraySpec, View

__all__ = [
    "ArraySpec",
    "Batch",
    "LengthBuckets",
    "RowStream",
    "Rows",
    "TokenStream",
    "View",
    "dataset",
    "epoch_batches",
    "sorted_batches",
]
