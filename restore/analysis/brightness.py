"""How brightness changes from frame to frame, by tone and by place, whatever moves in the picture.

Each frame is compared with the one before it, aligned by their common shift, in blocks of some pixels. Medians of the
blocks' ratios are what most of the picture did: a person who walks in front of the scene is a minority. The steps add
up to curves of log brightness over the shot; they drift slowly as errors add up, which does not matter where only what
jumps is of interest.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

Array = npt.NDArray[np.float64]

LEVELS = (0.0, 0.08, 0.2, 0.4, 0.65, 1.0)
"""Display values at which change is measured; between them it is interpolated."""
BLACK = 0.02
"""Added to display values before a ratio is taken, so that black, and the noise in it, has one."""
GRID = (4, 6)
"""Rows and columns of the cells in which local change is measured."""
_BLOCKS = 96
"""Blocks along the picture's longer side."""
_SPREAD = 0.03
"""Spread of log ratios in a cell beyond which something else than brightness changes there."""


def reduced(luma: torch.Tensor) -> npt.NDArray[np.float32]:
    """(H, W) display values as means of blocks, float32 in [0, 1]."""
    height, width = luma.shape
    scale = min(1.0, _BLOCKS / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    if size != (height, width):
        luma = F.adaptive_avg_pool2d(luma[None, None], size)[0, 0]
    return np.ascontiguousarray(luma.clamp(0, 1).cpu().numpy(), np.float32)


def aligned(previous: npt.NDArray[np.float32], current: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """`previous` shifted to lie on `current`, NaN where nothing is known; unshifted if that fits no better."""
    height, width = current.shape
    if min(height, width) < 16:
        return previous
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (dx, dy), response = cv2.phaseCorrelate(previous - previous.mean(), current - current.mean(), window)
    far = max(abs(dx) / width, abs(dy) / height)
    if response < 0.1 or far > 0.2 or max(abs(dx), abs(dy)) < 0.1:
        return previous
    shift = np.array(((1, 0, dx), (0, 1, dy)), np.float32)
    moved = cv2.warpAffine(previous, shift, (width, height), flags=cv2.INTER_LINEAR, borderValue=np.nan)
    known = np.isfinite(moved)
    if known.sum() < 0.5 * known.size:
        return previous
    stay, go = (np.abs(p[known] - current[known]) for p in (previous, moved))
    return np.asarray(moved if go.mean() < 0.9 * stay.mean() else previous, np.float32)


class BrightnessCurves:
    """Feed it a shot's frames in order; it keeps a few dozen numbers a frame."""

    def __init__(self) -> None:
        self._previous: npt.NDArray[np.float32] | None = None
        self._tones: list[Array] = []
        self._cells: list[Array] = []
        self.means: list[float] = []
        """Mean display value of each frame."""

    def add(self, luma: torch.Tensor) -> None:
        """See the next frame, (H, W) display values."""
        current = reduced(luma)
        self.means.append(float(current.mean()))
        if self._previous is not None:
            tones, cells = _step(self._previous, current)
            self._tones.append(tones)
            self._cells.append(cells)
        self._previous = current

    def tones(self) -> Array:
        """(N, len(LEVELS)) natural log of brightness at each level, 0 in the first frame."""
        return _summed(self._tones, len(self.means), len(LEVELS))

    def cells(self) -> Array:
        """(N, rows * columns) natural log of brightness in each cell beside that of the whole picture."""
        return _summed(self._cells, len(self.means), GRID[0] * GRID[1])


def _summed(steps: list[Array], frames: int, columns: int) -> Array:
    result = np.zeros((frames, columns))
    if steps:
        np.cumsum(np.stack(steps), axis=0, out=result[1:])
    return result


def _step(previous: npt.NDArray[np.float32], current: npt.NDArray[np.float32]) -> tuple[Array, Array]:
    """The change of log brightness from one frame to the next: by level, and by cell beside that."""
    previous = aligned(previous, current)
    known = np.isfinite(previous)
    before = np.where(known, previous, current)
    ratios = np.log((current + BLACK) / (before + BLACK))
    levels = (current + before) / 2
    tones = _by_level(ratios[known], levels[known])
    rest = np.where(known, ratios - np.interp(levels, LEVELS, tones), np.nan)
    return tones, _by_cell(rest)


def _by_level(ratios: npt.NDArray[np.floating[Any]], levels: npt.NDArray[np.floating[Any]]) -> Array:
    """Medians by level, each believed as far as its blocks are many and agree, and drawn to its neighbours."""
    nodes = np.asarray(LEVELS)
    nearest = np.searchsorted((nodes[1:] + nodes[:-1]) / 2, levels)
    count = len(nodes)
    weights, medians = np.zeros(count), np.zeros(count)
    for node in range(count):
        own = ratios[nearest == node]
        if len(own) < 4:
            continue
        medians[node] = np.median(own)
        spread = np.median(np.abs(own - medians[node])) + 0.01
        weights[node] = len(own) / len(ratios) / spread**2
    if not weights.any():
        return np.zeros(count)
    weights /= weights.sum()
    links = 0.05 * (np.diff(np.eye(count), axis=0).T @ np.diff(np.eye(count), axis=0))
    return np.asarray(np.linalg.solve(np.diag(weights) + links, weights * medians))


def _by_cell(rest: npt.NDArray[np.float64]) -> Array:
    """Medians by cell, drawn to 0 as far as its blocks disagree: something moves there."""
    rows, columns = (
        np.linspace(0, side, cells + 1).round().astype(int) for side, cells in zip(rest.shape, GRID, strict=True)
    )
    result = np.zeros(GRID)
    if min(np.diff(rows).min(), np.diff(columns).min()) < 3:
        return result.ravel()
    for r in range(GRID[0]):
        for c in range(GRID[1]):
            cell = rest[rows[r] : rows[r + 1], columns[c] : columns[c + 1]]
            own = cell[np.isfinite(cell)]
            if len(own) >= 9:
                middle = np.median(own)
                spread = np.median(np.abs(own - middle))
                result[r, c] = middle / (1 + (spread / _SPREAD) ** 2)
    return result.ravel()
