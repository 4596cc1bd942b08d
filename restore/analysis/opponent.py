"""Frames as luma and two colour differences, whatever they are stored as; each plane at its own size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from restore.frames import PixelFormat

_RED, _GREEN, _BLUE = 0.2126, 0.7152, 0.0722
"""Weights of luma (ITU-R BT.709). Which are taken does not matter here: the way back undoes them."""


def opponents(planes: Sequence[Tensor], pixel: PixelFormat) -> list[Tensor]:
    """Luma, and where there is colour its blue and red difference, (N, h, w) each, of planes as `FrameBatch` has them;
    without alpha. Gray and Y'CbCr are handed on as they are."""
    if pixel.model != "rgb":
        return list(planes[: 1 if pixel.model == "gray" else 3])
    red, green, blue = planes[:3]
    luma = _RED * red + _GREEN * green + _BLUE * blue
    return [luma, (blue - luma) / (2 - 2 * _BLUE), (red - luma) / (2 - 2 * _RED)]


def with_changes(planes: Sequence[Tensor], changes: Sequence[Tensor | None], pixel: PixelFormat) -> tuple[Tensor, ...]:
    """`planes` after what `opponents` made of them has changed by so much; None, and alpha, stay to the bit."""
    if all(change is None for change in changes):
        return tuple(planes)
    if pixel.model != "rgb":
        changed = [p if c is None else p + c for p, c in zip(planes, changes, strict=False)]
        return (*changed, *planes[len(changed) :])
    luma, blue, red = (torch.zeros_like(planes[0]) if change is None else change for change in changes)
    more_red, more_blue = luma + (2 - 2 * _RED) * red, luma + (2 - 2 * _BLUE) * blue
    more_green = (luma - _RED * more_red - _BLUE * more_blue) / _GREEN
    return (planes[0] + more_red, planes[1] + more_green, planes[2] + more_blue, *planes[3:])
