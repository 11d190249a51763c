"""The diagnosis of one recurrent layer, and its display on a terminal."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Diagnosis:
    """The kernels of one recurrent layer, the reason for them and the remedy.

    Attributes:
        layer: path of the layer inside its model, such as `encoder/lstm`.
        kind: what it is: `LSTM`, `Bidirectional(GRU)`, `RNN(LSTMCell)`.
        gpu: kernel on a GPU: `CudnnRNNV3`, `while loop`, or why there is none.
        cpu: kernel on a CPU: `BlockLSTMV2`, `while loop`, or why there is none.
        cudnn: whether a GPU runs the layer on cuDNN.
        reason: one line, why these kernels.
        remedy: one line, what to change; empty if nothing has to change.
    """

    layer: str
    kind: str
    gpu: str
    cpu: str
    cudnn: bool
    reason: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str | bool]:
        """The fields by name, ready for JSON.

        Returns:
            `{"layer": …, "kind": …, "gpu": …, "cpu": …, "cudnn": …, "reason": …, "remedy": …}`.
        """
        return dataclasses.asdict(self)


def known(diagnosis: Diagnosis) -> bool:
    """Whether the layer could be examined."""
    return UNKNOWN not in (diagnosis.gpu, diagnosis.cpu)


def merge_directions(
    diagnoses: Sequence[Diagnosis], parents: Sequence[str | None]
) -> list[Diagnosis]:
    """Merge the diagnoses of a bidirectional layer's two directions if they agree.

    Args:
        diagnoses: one for each direction, and for each layer of one direction.
        parents: for each diagnosis the path of the bidirectional layer it is a direction of, or
            `None`.

    Returns:
        The diagnoses in order. A direction's kind is `Bidirectional(…)`; directions that differ
        stay apart, each under its own path.
    """
    merged: list[Diagnosis] = []
    owners: list[str | None] = []
    for diagnosis, parent in zip(diagnoses, parents, strict=True):
        if parent is not None:
            kind = f"Bidirectional({diagnosis.kind})"
            diagnosis = dataclasses.replace(diagnosis, kind=kind)
            if merged and owners[-1] == parent:
                whole = dataclasses.replace(diagnosis, layer=parent)
                if dataclasses.replace(merged[-1], layer=parent) == whole:
                    merged[-1] = whole
                    continue
        merged.append(diagnosis)
        owners.append(parent)
    return merged


def render(diagnoses: Sequence[Diagnosis]) -> str:
    """Show diagnoses as a table, with each layer's reason and remedy beneath it.

    Args:
        diagnoses: what `diagnose_model` or `diagnose_file` returned.

    Returns:
        Lines without a final newline; a sentence where there is no recurrent layer.
    """
    if not diagnoses:
        return "There is no recurrent layer."
    header = ("layer", "kind", "on a GPU", "on a CPU", "cuDNN")
    rows = [(d.layer, d.kind, d.gpu, d.cpu, "yes" if d.cudnn else "no") for d in diagnoses]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))

    lines = [line(header).rstrip(), line(["-" * width for width in widths])]
    for row, diagnosis in zip(rows, diagnoses, strict=True):
        lines.append(line(row).rstrip())
        lines.append(f"    why: {diagnosis.reason}")
        if diagnosis.remedy:
            lines.append(f"    fix: {diagnosis.remedy}")
    examined = [diagnosis for diagnosis in diagnoses if known(diagnosis)]
    reached = sum(diagnosis.cudnn for diagnosis in examined)
    lines.append(f"{reached} of {len(examined)} recurrent layers on cuDNN.")
    if unknown := [diagnosis.layer for diagnosis in diagnoses if not known(diagnosis)]:
        lines.append(f"Not examined: {', '.join(unknown)}.")
    return "\n".join(lines)
