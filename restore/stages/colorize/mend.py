"""Colours for places that come into view: those of places near by that are as bright.

A bilateral grid (Chen, Paris, Durand, SIGGRAPH 2007): paint is summed in coarse cells of place and luma, the cells are
blurred, and every pixel reads the cells it falls between.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from restore.analysis.flow import Plane, Small

_Cells = npt.NDArray[np.float32]
_REDUCED = 4
_CELL = 3
_LEVELS = 16
"""Values of luma (of 255) that share a cell."""
_NEAR = (0.6, 1.0, 1.0)
_FAR = (1.2, 4.0, 4.0)
"""How far paint spreads in the grid: over luma, down, across, in cells."""
_ENOUGH = 2.0


def mended(luma: Small, paint: _Cells, trust: Plane) -> _Cells:
    """(h, w, C): what the places that are trusted say of all others."""
    height, width = luma.shape
    size = (max(2, width // _REDUCED), max(2, height // _REDUCED))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32) / _LEVELS
    weighted = cv2.resize(np.dstack((paint * trust[..., None], trust)), size, interpolation=cv2.INTER_AREA)
    grid = _Grid(np.asarray(small, np.float32))
    summed = grid.sum(np.asarray(weighted, np.float32))
    near, far = grid.read(_blurred(summed, _NEAR)), grid.read(_blurred(summed, _FAR))
    found = np.minimum(1, near[..., -1:] / _ENOUGH)
    mixed = found * _normal(near) + (1 - found) * _normal(far)
    return np.asarray(cv2.resize(mixed, (width, height), interpolation=cv2.INTER_LINEAR), np.float32).reshape(
        height, width, -1
    )


def _normal(cells: _Cells) -> _Cells:
    return np.asarray(cells[..., :-1] / np.maximum(cells[..., -1:], 1e-6), np.float32)


def _blurred(cells: _Cells, spread: tuple[float, float, float]) -> _Cells:
    for axis, sigma in enumerate(spread):
        cells = gaussian_filter1d(cells, sigma, axis=axis, mode="constant", truncate=3)
    return cells


class _Grid:
    """Cells over luma, rows and columns for one small picture, whose luma is in levels."""

    def __init__(self, small: Plane) -> None:
        height, width = small.shape
        self.shape = (256 // _LEVELS + 2, height // _CELL + 2, width // _CELL + 2)
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) / _CELL
        self._at = np.stack((small, rows, columns))

    def sum(self, weighted: _Cells) -> _Cells:
        """Put every pixel's values into its nearest cell."""
        index = np.ravel_multi_index(tuple(np.round(self._at).astype(np.intp)), self.shape).ravel()
        count = int(np.prod(self.shape))
        channels = [np.bincount(index, weighted[..., k].ravel(), count) for k in range(weighted.shape[2])]
        return np.stack(channels, -1).astype(np.float32).reshape(*self.shape, -1)

    def read(self, cells: _Cells) -> _Cells:
        """Every pixel's values, between the eight cells it lies between."""
        low = self._at.astype(np.intp)
        share = self._at - low
        total = np.zeros((*self._at.shape[1:], cells.shape[3]), np.float32)
        for corner in range(8):
            step = [(corner >> axis) & 1 for axis in range(3)]
            weight = np.prod([share[a] if step[a] else 1 - share[a] for a in range(3)], axis=0)
            total += weight[..., None] * cells[tuple(low[a] + step[a] for a in range(3))]
        return total
