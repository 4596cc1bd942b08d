"""Averaging a frame with its neighbours, moved into its place and believed as far as they fit.

Weights are those of least variance: what differs by more than both frames' noise is an error, and counts as further
noise. The difference is judged at two scales, since an error that is lost in fine grain shows once grain is averaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from restore.analysis.flow import Plane
from restore.analysis.noise import BLOCK, Noise, cosines

_CELL = 4
"""Weights are found for squares of this side, and read smoothly between."""
_USUAL, _COARSE_USUAL = 1.15, 2.0
"""A difference of this many times the noise's variance is still taken for noise, in fine and in coarse."""
_COARSE = 2.5
"""How much an error in coarse counts."""


class Average(NamedTuple):
    """A frame averaged with its neighbours."""

    plane: Plane
    left: Plane
    """The part of the noise's variance that is left in it."""
    weights: list[Plane]
    """Of each neighbour, for cells."""


def cell_share(noise: Noise) -> float:
    """What part of the noise's variance is left in the mean of a cell."""
    basis = np.kron(cosines(), cosines())
    covariance = basis.T @ (noise.spectrum.reshape(-1, 1) * basis)
    cell = np.zeros((BLOCK, BLOCK), np.float32)
    edge = (BLOCK - _CELL) // 2
    cell[edge : edge + _CELL, edge : edge + _CELL] = 1 / _CELL**2
    return max(float(cell.reshape(-1) @ covariance @ cell.reshape(-1)), 1e-3)


def average(
    here: Plane, others: Iterable[Plane], sigma: Plane, share: float, believed: list[Plane] | None = None
) -> Average:
    """Average a plane with its neighbours.

    Args:
        here: (H, W).
        others: the same shape: neighbours, moved into its place.
        sigma: (H, W) standard deviation of the noise in each.
        share: see `cell_share`.
        believed: weights another plane found, to be no larger than.
    """
    height, width = here.shape
    cells = (max(1, width // _CELL), max(1, height // _CELL))
    variance = np.asarray(2 * cv2.resize(sigma * sigma, cells, interpolation=cv2.INTER_AREA) + 1e-8, np.float32)
    total, divisor, squares = here.copy(), np.ones_like(here), np.ones_like(here)
    weights = []
    for number, other in enumerate(others):
        weight = _weight(here, other, variance, share)
        if believed is not None:
            limit = cv2.resize(believed[number], cells, interpolation=cv2.INTER_AREA)
            weight = np.minimum(weight, limit)
        weights.append(weight)
        full = cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.accumulateProduct(full, other, total)
        cv2.accumulate(full, divisor)
        cv2.accumulateSquare(full, squares)
    return Average(total / divisor, squares / (divisor * divisor), weights)


def _weight(here: Plane, other: Plane, variance: Plane, share: float) -> Plane:
    """Weight of a neighbour in each cell, (0, 1]; `variance` is what noise makes of the difference."""
    difference = here - other
    cells = variance.shape[::-1]
    fine = cv2.resize(difference * difference, cells, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(difference, cells, interpolation=cv2.INTER_AREA) ** 2
    excess = np.maximum(cv2.blur(fine, (3, 3)) / variance - _USUAL, 0)
    excess += _COARSE * np.maximum(cv2.blur(coarse, (3, 3)) / variance - _COARSE_USUAL * share, 0)
    return np.asarray(1 / (1 + excess + excess * excess), np.float32)
