"""What stages that repair pictures hand back: the pictures, or the mask for a person to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from restore.frames import FrameBatch


def handed_back(
    batch: FrameBatch,
    pictures: Sequence[npt.NDArray[np.float32]],
    masks: Sequence[npt.NDArray[np.bool_]],
    told: Mapping[str, Any],
) -> tuple[torch.Tensor, torch.Tensor]:
    """The core frames of a batch, (N, 3, H, W), and where they were repaired, (N, 1, H, W).

    Args:
        batch: what was to be repaired.
        pictures: (H, W, 3) each, wholly repaired.
        masks: (H, W) each, what was changed.
        told: ``show``, "mask" for white where something would be repaired; ``strength``, from 0 (as it was) to 1.
    """
    where = torch.stack([torch.from_numpy(mask)[None] for mask in masks]).to(batch.pixels.device)
    if told["show"] == "mask":
        return where.expand(-1, 3, -1, -1).float(), torch.ones_like(where)
    repaired = torch.stack([torch.from_numpy(picture.transpose(2, 0, 1)) for picture in pictures]).to(batch.pixels)
    if told["strength"] < 1:
        repaired = torch.lerp(batch.pixels[batch.core], repaired, float(told["strength"]))
    return repaired, where
