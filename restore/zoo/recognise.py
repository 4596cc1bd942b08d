"""Which known model a checkpoint's tensors are, whatever the file is called and however it was saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from restore.errors import WeightsError
from restore.zoo.face_models import IMPOSTORS
from restore.zoo.spec import ModelSpec
from restore.zoo.table import MODELS
from restore.zoo.tensor_hash import half_sha256, tensor_sha256

RESAVED = "re-saved copy: the same numbers in another file"
ROUNDED = "copy rounded to half precision"
NEAR = "re-saved copy: the same numbers to half precision at least"


def recognise(state: Mapping[str, Tensor], path: Path) -> tuple[ModelSpec, str] | None:
    """The table's model these tensors are, and a note on how the copy differs; None for a network not in the table.

    Raises:
        WeightsError: a known impostor.
    """
    exact = tensor_sha256(state)
    for impostor in IMPOSTORS:
        if exact == impostor.tensor_sha256:
            raise WeightsError(f"{path} is not {impostor.pretends} but {impostor.truth}; it is refused")
    half = half_sha256(state)
    for spec in MODELS.values():
        if exact == spec.tensor_sha256:
            return spec, RESAVED
        if half == spec.half_sha256:
            return spec, ROUNDED if exact == half else NEAR
    return None
