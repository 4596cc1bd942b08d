"""Paths of boxes and points that do not shake: smoothed over a whole shot at once, so nothing lags behind.

What optical flow says of a place is right from frame to frame and drifts over seconds; what a detector says shakes
from frame to frame and does not drift. So the flow's path is taken, and only what separates it from the detections is
smoothed: by the discrete smoother of E. T. Whittaker ("On a New Method of Graduation", 1923), which is symmetric in
time and bridges gaps, with Tukey's biweight against wild detections.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import solveh_banded

Array = npt.NDArray[np.float64]

STIFFNESS = 2000.0
"""Penalty on bends: what lasts less than about fifty frames, seen in every third, is smoothed away."""
_ROUNDS = 6
_MAD = 1.4826


def smoothed(values: Array, weights: Array, stiffness: float = STIFFNESS) -> Array:
    """(N,) the smooth course of (N,) values.

    Args:
        values: what was measured; what stands where the weight is 0 does not matter.
        weights: (N,) 0, not measured, to 1. At least one is above 0.
        stiffness: larger is smoother.
    """
    have = weights > 0
    values = np.where(have, values, 0.0)
    if have.sum() < 3:
        return np.full(len(values), float(np.average(values, weights=weights)))
    trust = np.ones(len(values))
    course = _penalised(values, weights, stiffness)
    for _ in range(_ROUNDS):
        away = np.abs(values - course)
        spread = _MAD * float(np.median(away[have])) + 1e-6
        trust = np.clip(1 - (away / (4.7 * spread)) ** 2, 1e-4, 1) ** 2
        course = _penalised(values, weights * trust, stiffness)
    return course


def _penalised(values: Array, weights: Array, stiffness: float) -> Array:
    """Minimise sum weights (x - values)^2 + stiffness sum (second differences of x)^2."""
    count = len(values)
    bands = np.zeros((3, count))  # upper form: the diagonal is last
    bands[2] = weights + 1e-9
    bands[2, :-2] += stiffness
    bands[2, 1:-1] += 4 * stiffness
    bands[2, 2:] += stiffness
    bands[1, 1:-1] -= 2 * stiffness
    bands[1, 2:] -= 2 * stiffness
    bands[0, 2:] += stiffness
    return np.asarray(solveh_banded(bands, weights * values))


def anchored(moved: Array, measured: Array, weights: Array, stiffness: float = STIFFNESS) -> Array:
    """(N,) a path that moves as the flow does and stays where the detections are.

    Args:
        moved: (N,) how far the flow went since the frame before; the first does not count.
        measured: (N,) places.
        weights: (N,) of the places, 0 where there is none.
    """
    way = np.concatenate(([0.0], np.cumsum(moved[1:])))
    return np.asarray(way + smoothed(measured - way, weights, stiffness))
