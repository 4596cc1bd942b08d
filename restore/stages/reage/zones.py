"""Parts of a face, as soft masks in the coordinates of `restore.stages.reage.alignment`: eye distances from the point
between the eyes, x to the right, y down. Where they lie was read off the mean of the training portraits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from restore.stages.reage.alignment import USUAL
from restore.stages.reage.options import ZONES


class Oval(NamedTuple):
    """An ellipse, turned by `slant` (its lower end further out), on both sides of the face or in its middle."""

    x: float
    y: float
    wide: float
    tall: float
    slant: float = 0.0


_OVALS: dict[str, tuple[Oval, ...]] = {
    "forehead": (Oval(0, -0.68, 0.82, 0.36),),
    "glabella": (Oval(0, -0.20, 0.17, 0.24),),
    "crows-feet": (Oval(0.90, 0.02, 0.20, 0.30),),
    "under-eye": (Oval(0.48, 0.30, 0.32, 0.15),),
    "nasolabial": (Oval(0.50, 0.78, 0.15, 0.36, 0.45),),
    "cheeks": (Oval(0.74, 0.66, 0.26, 0.46),),
    "mouth": (Oval(0, 1.02, 0.62, 0.26),),
    "chin": (Oval(0, 1.48, 0.46, 0.24),),
    "neck": (Oval(0, 2.05, 0.62, 0.34),),
    "nose": (Oval(0, 0.38, 0.22, 0.36),),
    "lids": (Oval(0.50, -0.14, 0.30, 0.10),),
}
_FEATURES = (
    Oval(0.50, 0.02, 0.27, 0.13),
    Oval(0.50, -0.28, 0.36, 0.09),
    Oval(0, 1.04, 0.38, 0.13),
    Oval(0.11, 0.60, 0.09, 0.06),
)
"""Eyes, brows, lips and nostrils: no skin."""
FACE = Oval(0, 0.38, 1.03, 1.45)
HEAD = Oval(0, 0.10, 1.30, 1.95)
HAIR = Oval(0, 0.14, 1.60, 2.16)


def placed(points: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where the usual face's zones lie in faces: (N, S, S) x and y, by points (N, 5, 2) in eye distances.

    The part under the eyes is stretched until the mouth is where it was found; the middle of the face follows the
    nose and mouth where a face is turned a little.
    """
    mouth = points[:, 3:].mean(1)
    tall = (mouth[:, 1] / float(USUAL[3:, 1].mean())).clamp(0.8, 1.25)[:, None, None]
    turned = points[:, 2, 0].clamp(-0.25, 0.25)[:, None, None]
    down = torch.where(y > 0, y / tall, y.expand_as(y / tall))
    middle = torch.exp(-((x / 0.7) ** 2)) * torch.exp(-(((down - 0.65) / 0.6) ** 2))
    across = x - turned * middle
    return across, down.expand_as(across)


def oval(shape: Oval, x: Tensor, y: Tensor, soft: float = 0.5) -> Tensor:
    """0 to 1: 1 in an ellipse, fading out over `soft` of its radius around its rim; on both sides if it lies aside."""
    if shape.x:
        left, right = (_one(shape, sign * x, y, soft) for sign in (-1, 1))
        return torch.maximum(left, right)
    return _one(shape, x, y, soft)


def _one(shape: Oval, x: Tensor, y: Tensor, soft: float) -> Tensor:
    across, down = x - shape.x - shape.slant * (y - shape.y), y - shape.y
    radius = torch.sqrt((across / shape.wide) ** 2 + (down / shape.tall) ** 2)
    share = ((1 + soft / 2 - radius) / soft).clamp(0, 1)
    return share * share * (3 - 2 * share)


def zone_masks(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Soft masks of `ZONES`; together they are nowhere more than 1."""
    masks = {name: torch.stack([oval(shape, x, y, 0.7) for shape in _OVALS[name]]).amax(0) for name in ZONES}
    total = torch.stack(list(masks.values())).sum(0).clamp(min=1)
    return {name: mask / total for name, mask in masks.items()}


def skin_place(x: Tensor, y: Tensor) -> Tensor:
    """0 to 1: where a face's and neck's skin usually is; not eyes, brows, lips, nostrils."""
    place = torch.maximum(oval(FACE, x, y, 0.25), oval(_OVALS["neck"][0], x, y, 0.5))
    for feature in _FEATURES:
        place = place * (1 - oval(feature, x, y, 0.5))
    return place


def hair_place(x: Tensor, y: Tensor) -> Tensor:
    """0 to 1: where hair may be: around the face, and beside it down to the neck."""
    beside = ((x.abs() - 0.8) / 0.2).clamp(0, 1) * ((1.9 - y) / 0.6).clamp(0, 1)
    above = torch.maximum(((0.75 - y) / 0.5).clamp(0, 1), beside)
    return oval(HAIR, x, y, 0.35) * (1 - oval(FACE._replace(y=0.42, wide=0.92, tall=1.32), x, y, 0.2)) * above


def brow_place(x: Tensor, y: Tensor) -> Tensor:
    """0 to 1: where brows are."""
    return oval(Oval(0.50, -0.29, 0.42, 0.14), x, y, 0.4)
