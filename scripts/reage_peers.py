"""What fools an age estimator without any knowledge of age: a plain blur of the skin, and one that keeps edges.

Both make a face look younger; with less than nothing they sharpen it, which makes it look older. They stand beside an
engine at the strength that leaves as much of the finest band as the engine leaves.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from restore.pipeline.contract import Device
from restore.stages.reage.alignment import FRAMING, Framing
from restore.stages.reage.bands import blurred
from restore.stages.reage.engines import Faces

_REACH = 0.04
"""Eye distances, sigma."""
_EDGES = 0.1
"""Difference of values over which the second one does not blur."""


class Blur:
    """An engine that blurs."""

    name = "skin blur"
    framing: Framing = FRAMING

    def side(self, eye_distance: float) -> int:
        """As large as the face."""
        return int(min(768, max(192, 64 * -(-(eye_distance / self.framing.distance) // 64))))

    def weights(self) -> dict[str, str]:
        """None."""
        return {}

    def open(self, device: Device) -> None:
        """Nothing to load."""

    def deltas(self, faces: Faces) -> Tensor:
        """What is missing in the blurred face."""
        crops = faces.crops
        x, y = self.framing.units(crops.shape[-1])
        inside = ((1.2 - torch.hypot(x / 1.0, (y - 0.45) / 1.4)) / 0.3).clamp(0, 1)
        return (self.blurred(crops) - crops) * inside

    def blurred(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S)."""
        return torch.stack([blurred(crop, _REACH * self.framing.distance * crops.shape[-1]) for crop in crops])


class BilateralBlur(Blur):
    """C. Tomasi, R. Manduchi, "Bilateral Filtering for Gray and Color Images", ICCV 1998."""

    name = "edge-preserving blur"

    def blurred(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S)."""
        found = []
        for crop in crops:
            picture = np.ascontiguousarray(crop.permute(1, 2, 0).numpy())
            reach = _REACH * self.framing.distance * crops.shape[-1]
            found.append(torch.from_numpy(cv2.bilateralFilter(picture, -1, _EDGES, reach)).permute(2, 0, 1))
        return torch.stack(found)


PEERS = (Blur, BilateralBlur)
