"""The engine `sift`: what age does to skin, band by band, without a network.

I. Boyadzhiev, K. Bala, S. Paris, E. Adelson, "Band-Sifting Decomposition for Image-Based Material Editing", ACM
Transactions on Graphics 34(5), 2015: the parts of a picture's luma by spatial frequency, sign and amplitude are what
one sees as wrinkles (dark, high amplitude), pores (fine, low amplitude), blotches (broad) and shine (light, high).
"""

from __future__ import annotations

import torch
from torch import Tensor

from restore.pipeline.contract import Device
from restore.stages.reage.alignment import FRAMING, Framing
from restore.stages.reage.bands import bands_of, luma_of
from restore.stages.reage.engines import Faces

_LARGEST, _SMALLEST, _STEP = 512, 192, 64


class SiftEngine:
    """See `restore.stages.reage.engines.Engine`."""

    name = "sift"
    framing: Framing = FRAMING

    def side(self, eye_distance: float) -> int:
        """About the size the face has in the picture, so that nothing is lost; not more than pays."""
        natural = eye_distance / self.framing.distance
        return int(min(_LARGEST, max(_SMALLEST, _STEP * -(-natural // _STEP))))

    def weights(self) -> dict[str, str]:
        """None yet."""
        return {}

    def open(self, device: Device) -> None:
        """Nothing to load."""

    def deltas(self, faces: Faces) -> Tensor:
        """Wrinkles fainter or deeper."""
        side = faces.crops.shape[-1]
        unit = self.framing.distance * side
        luma = luma_of(faces.crops)
        bands = bands_of(luma, unit)
        x, y = self.framing.units(side, luma.device)
        inside = ((1.25 - torch.hypot(x / 1.05, (y - 0.45) / 1.5)) / 0.3).clamp(0, 1)
        years = (faces.target - faces.source)[:, None, None]
        gain = (years / 40).clamp(-0.85, 1.2)
        change = torch.zeros_like(luma)
        for band in bands[1:4]:
            change = change + gain * band.clamp(max=0)
        wrinkles = torch.tensor([wish.wrinkles for wish in faces.wishes]).to(luma)[:, None, None]
        return (change * inside * wrinkles)[:, None].expand(-1, 3, -1, -1)
