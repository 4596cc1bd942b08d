"""How well a face is seen: how large, how sharp, how much from the front."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]

SMALL = 32
"""Pixels of the source that a face's box must be wide for anything to be done with it."""
LARGE = 160
"""Pixels from which size is no longer a reason to doubt."""
_SIDE = 64
_CRISP = 0.22
"""Share of fine detail in a face that is as sharp as faces get at `_SIDE` pixels."""


def patch_of(grey: Grey, box: Array, side: int = _SIDE) -> Grey | None:
    """(side, side) the middle four fifths of a box; None where hardly any of it lies in the picture."""
    width, height = 0.8 * box[2:]
    x, y = box[:2] + 0.1 * box[2:]
    rows, columns = grey.shape
    inside = (min(columns, x + width) - max(0, x)) * (min(rows, y + height) - max(0, y))
    if inside < 0.5 * width * height or min(width, height) < 4:
        return None
    size = (max(2, round(width)), max(2, round(height)))
    cut = cv2.getRectSubPix(grey, size, (float(x + width / 2), float(y + height / 2)))
    way = cv2.INTER_AREA if size[0] > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (side, side), interpolation=way), np.uint8)


def likeness(one: Grey | None, other: Grey | None) -> float:
    """0 to 1: correlation of two patches, whatever their brightness and contrast."""
    if one is None or other is None:
        return 0.0
    first, second = (cv2.GaussianBlur(p, (0, 0), 1.5).astype(np.float64) for p in (one, other))
    first, second = first - first.mean(), second - second.mean()
    size = np.sqrt((first**2).sum() * (second**2).sum())
    return float(np.clip((first * second).sum() / size, 0, 1)) if size > 1e-6 else 0.0


def sharpness(patch: Grey | None) -> float:
    """0, blurred or enlarged from very little, to 1."""
    if patch is None:
        return 0.0
    plain = patch.astype(np.float32)
    fine = plain - cv2.GaussianBlur(plain, (0, 0), 1.5)
    return float(np.clip(fine.std() / max(1.0, float(plain.std())) / _CRISP, 0, 1))


def quality(widths: Array, sharp: Array, frontal: Array, confidence: Array) -> Array:
    """(N,) 0 to 1: how well a face is seen in each frame; `widths` are pixels of the source.

    0 under `SMALL` pixels. The product of all four, so that the worst of them decides.
    """
    size = np.clip((widths - SMALL) / (LARGE - SMALL), 0, 1)
    size = np.where(widths < SMALL, 0.0, 0.3 + 0.7 * size)
    return np.asarray(size * (0.4 + 0.6 * sharp) * (0.3 + 0.7 * frontal) * confidence)
