"""Colours lent by a picture of another moment, shot or film: each place takes those of places that look like it.

Looks are luma at several scales, its local contrast, and the directions of its edges (as in Dalal and Triggs,
"Histograms of Oriented Gradients", CVPR 2005), and, weakly, where in the picture they are. Luma is compared by rank, so
two prints of different density match (Welsh, Ashikhmin, Mueller, "Transferring Color to Greyscale Images", SIGGRAPH
2002, compares neighbourhood statistics likewise).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from restore.analysis.flow import Plane, Small

SIDE = 96
"""Longer side at which pictures are compared."""
_NEIGHBOURS = 12
_DIRECTIONS = 4
_MOST_TRUST = 0.7
_PLACE = 0.35
"""Weight of where in the picture a place is, against how it looks."""
_APART = 0.9
"""Distance of looks at which a match is half believed."""


def small_size(height: int, width: int) -> tuple[int, int]:
    """(h, w) at which pictures of this shape are compared."""
    scale = SIDE / max(height, width)
    return max(4, round(height * scale)), max(4, round(width * scale))


def _ranked(luma: Small) -> Plane:
    """Each value by the share of the picture that is darker."""
    counts = np.bincount(luma.ravel(), minlength=256).astype(np.float64)
    share = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.asarray(share[luma], np.float32)


def looks(luma: Small) -> npt.NDArray[np.float32]:
    """(h, w, F) features of every place of a picture of about `SIDE`."""
    rank = _ranked(luma)
    mixed = np.asarray(0.5 * rank + 0.5 * luma.astype(np.float32) / 255, np.float32)
    layers = [4 * cv2.GaussianBlur(mixed, (0, 0), sigma) for sigma in (0.7, 2.0, 5.0)]
    for sigma in (1.5, 4.0):
        mean = cv2.GaussianBlur(mixed, (0, 0), sigma)
        contrast = np.sqrt(np.maximum(cv2.GaussianBlur(mixed**2, (0, 0), sigma) - mean**2, 0))
        layers.append(4 * contrast)
    across, down = cv2.Sobel(mixed, cv2.CV_32F, 1, 0), cv2.Sobel(mixed, cv2.CV_32F, 0, 1)
    size, turn = np.hypot(across, down), np.arctan2(down, across)
    for k in range(_DIRECTIONS):
        along = size * np.maximum(0, np.cos(2 * (turn - np.pi * k / _DIRECTIONS)))
        layers.append(1.5 * cv2.GaussianBlur(along, (0, 0), 2.5))
    rows, columns = np.mgrid[0 : luma.shape[0], 0 : luma.shape[1]].astype(np.float32)
    layers += [_PLACE * rows / luma.shape[0], _PLACE * columns / luma.shape[1]]
    return np.stack(layers, -1).astype(np.float32)


class Lender:
    """Pictures in colour, ready to be asked."""

    def __init__(self, pictures: Sequence[tuple[Small, npt.NDArray[np.float32]]]) -> None:
        """Each a luma (h, w) and its a*, b* (h, w, 2), of about `SIDE`."""
        features = [looks(luma).reshape(luma.size, -1) for luma, _ in pictures]
        self._tree = cKDTree(np.concatenate(features))
        self._ab = np.concatenate([ab.reshape(-1, 2) for _, ab in pictures])

    def lend(self, luma: Small) -> tuple[npt.NDArray[np.float32], Plane]:
        """a*, b* for a picture of about `SIDE`, (h, w, 2), and how far they are to be trusted, (h, w)."""
        asked = looks(luma)
        apart, which = self._tree.query(asked.reshape(luma.size, -1), k=_NEIGHBOURS)
        weight = np.exp(-((apart / np.maximum(apart[:, :1], 0.1)) ** 2))
        lent = self._ab[which]
        ab = (lent * weight[..., None]).sum(1) / weight.sum(1)[:, None]
        # Where those that look alike differ in colour, nobody knows: quieter, and trusted less.
        spread = np.sqrt((((lent - ab[:, None]) ** 2).sum(-1) * weight).sum(1) / weight.sum(1))
        trust = _MOST_TRUST / (1 + (apart.mean(1) / _APART) ** 2) / (1 + (spread / 20) ** 2)
        shape = luma.shape
        return ab.reshape(*shape, 2).astype(np.float32), trust.reshape(shape).astype(np.float32)
