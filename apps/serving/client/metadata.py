"""What a served model takes and gives, as its server describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.errors import UserError, nearest
from apps.serving.client.tensors import dtype_of


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        dtype: the NumPy type, `object` for strings; None for one that this client does not know.
        shape: sizes, None for an unknown one; None where not even the rank is known.
    """

    dtype: np.dtype | None
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Signature:
    """Named inputs and outputs of one signature."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@dataclass(frozen=True)
class ModelMetadata:
    """One version of a served model.

    Attributes:
        model: its name.
        version: the version that was meant when the server was asked.
        signatures: by name.
    """

    model: str
    version: int
    signatures: Mapping[str, Signature]

    def signature(self, name: str) -> Signature:
        """The signature of a name.

        Raises:
            UserError: there is none; the message names those that there are.
        """
        if name not in self.signatures:
            hint = nearest(name, self.signatures)
            raise UserError(
                f"{self.model} version {self.version}: there is no signature '{name}'{hint}"
            )
        return self.signatures[name]

    @classmethod
    def from_message(cls, model: str, version: int, definitions: Any) -> ModelMetadata:
        """From a `SignatureDefMap`; what TensorFlow itself adds to load a model is left out."""
        return cls(
            model,
            version,
            {
                name: Signature(_specs(definition.inputs), _specs(definition.outputs))
                for name, definition in definitions.signature_def.items()
                if not name.startswith("__saved_model")
            },
        )


def _specs(tensors: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(dtype_of(info.dtype), _shape(info.tensor_shape))
        for name, info in sorted(tensors.items())
    }


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
