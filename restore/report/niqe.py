"""How natural a picture looks, told nothing of how it should look: NIQE.

After Mittal, Soundararajan and Bovik, "Making a completely blind image quality analyzer", IEEE Signal Processing
Letters 20 (2013): statistics of patches at two scales, and how far they lie from those of good photographs. The
photographs are other ones than the paper's (`scripts/fit_niqe.py`), so its numbers compare among themselves, not with
those of other programs.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import gamma

Plane = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

PATCH = 96
"""Pixels; half of it at the second scale."""
SMALLEST = 2 * PATCH
"""A picture that is lower or narrower has too few patches to say anything."""
FEATURES = 36
_SIGMA = 7 / 6
_SHARP = 0.75
"""Of the sharpest patch's sharpness: photographs are judged by what in them is in focus."""
_FLAT = 0.05
"""Mean deviation, of 255, below which a patch is one grey and rounding."""
_SHAPES: Floats = np.arange(0.2, 10.0, 0.001)
_RATIOS: Floats = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))


def niqe(picture: Plane) -> float | None:
    """How far a picture (luma, (H, W), 0 to 255) is from good photographs: about 3 is like them, 10 is ruined.

    None for a picture too small, or one without any structure.
    """
    found, sharp = features(picture)
    found = found[np.isfinite(found).all(1) & (sharp > _FLAT)]
    if not len(found):
        return None
    mean, spread = _pristine()
    own = np.cov(found, rowvar=False) if len(found) > 1 else np.zeros_like(spread)
    apart = mean - found.mean(0)
    return float(np.sqrt(max(0.0, apart @ np.linalg.pinv((spread + own) / 2) @ apart)))


def features(picture: Plane) -> tuple[Floats, Floats]:
    """The features of every patch, (patches, 36), and how sharp each is, (patches,)."""
    rows, columns = (side // PATCH for side in picture.shape)
    if min(picture.shape) < SMALLEST:
        return np.zeros((0, FEATURES)), np.zeros(0)
    picture = np.ascontiguousarray(picture[: rows * PATCH, : columns * PATCH], np.float32)
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = []
    for scaled, side in ((picture, PATCH), (np.asarray(half, np.float32), PATCH // 2)):
        normal, deviation = _normalised(scaled)
        if side == PATCH:
            sharp = _cut(deviation, side).mean((1, 2))
        found.append(_statistics(normal, side))
    return np.concatenate(found, 1), sharp.astype(np.float64)


def sharpest(sharp: Floats) -> npt.NDArray[np.bool_]:
    """Which patches of a photograph are in focus."""
    return np.asarray(sharp > _SHARP * sharp.max(initial=0.0))


def _normalised(picture: Plane) -> tuple[Plane, Plane]:
    """The picture less its local mean and over its local deviation, and that deviation."""

    def mean(values: Plane) -> Plane:
        return np.asarray(cv2.GaussianBlur(values, (7, 7), _SIGMA, borderType=cv2.BORDER_REPLICATE), np.float32)

    middle = mean(picture)
    deviation = np.sqrt(np.maximum(mean(picture * picture) - middle * middle, 0))
    return (picture - middle) / (deviation + 1), deviation


def _cut(plane: Plane, side: int) -> Plane:
    """A plane as patches, (patches, side, side)."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    return plane.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _statistics(normal: Plane, side: int) -> Floats:
    """What a scale says of each patch: shapes and widths of how values, and products of neighbours, are spread."""
    patches = _cut(normal, side)
    shape, left, right = _asymmetric(patches)
    rows = [shape, (left + right) / 2]
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        product = patches * np.roll(patches, (down, across), (1, 2))
        shape, left, right = _asymmetric(product)
        offset = (right - left) * gamma(2 / shape) / gamma(1 / shape)
        rows += [shape, offset, left, right]
    return np.stack(rows, 1)


def _asymmetric(values: Plane) -> tuple[Floats, Floats, Floats]:
    """An asymmetric generalised Gaussian through each patch's values: shape, and scale left and right of zero."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    squares = flat * flat
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = (np.sqrt((squares * side).sum(1) / np.maximum(side.sum(1), 1)) for side in (flat < 0, flat > 0))
        ratio = left / right
        spread = np.abs(flat).mean(1) ** 2 / squares.mean(1)
        wanted = spread * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    # The ratio rises with the shape, so a search finds the nearest.
    shape = _SHAPES[np.clip(np.searchsorted(_RATIOS, wanted), 0, len(_SHAPES) - 1)]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


@cache
def _pristine() -> tuple[Floats, Floats]:
    with as_file(files("restore.report") / "niqe.npz") as path, np.load(path, allow_pickle=False) as stored:
        return stored["mean"].astype(np.float64), stored["spread"].astype(np.float64)
