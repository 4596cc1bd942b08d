"""Colours spread from a few places to those that are like them: neighbours of like luma get like colours.

Levin, Lischinski, Weiss, "Colorization using Optimization", SIGGRAPH 2004; with a small leak, so that it is also known
how far each place is reached. Solved from coarse to fine by conjugate gradients: a direct solver takes minutes.

What a network says of a picture is evened out by the same rule.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import spsolve

from restore.analysis.flow import Plane, Small
from restore.stages.colorize.follow import Paint

_LEAK = 3e-5
_FLATTEST = 1e-4
"""Least variance of luma (of 1) in a neighbourhood: below it there is only grain."""
_SMALLEST = 24
"""Shorter side of the coarsest picture."""
_STEPS = 120
_NEAR = 1e-4
_HELD = 100.0
"""How firmly what is given holds."""
_EVENED = 4.0
"""How much a place's neighbours count beside what is said of it."""
_STEP = 3.0
"""Difference of L* at which neighbours count half."""
_Array = npt.NDArray[np.float64]


def _alike(luma: _Array) -> sparse.csr_matrix:
    """(n, n), symmetric: how alike neighbouring pixels are, against how much luma varies round them."""
    height, width = luma.shape
    mean = cv2.blur(luma, (3, 3), borderType=cv2.BORDER_REFLECT)
    variance = np.maximum(cv2.blur(luma**2, (3, 3), borderType=cv2.BORDER_REFLECT) - mean**2, _FLATTEST)
    number = np.arange(height * width).reshape(height, width)
    rows, columns, weights = [], [], []
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(dy, height), slice(max(0, dx), width + min(0, dx)))
        apart = (luma[there] - luma[here]) ** 2
        weight = sum(np.exp(-apart / (0.6 * variance[end])) for end in (here, there)) / 2 + 1e-5
        rows += [number[here].ravel(), number[there].ravel()]
        columns += [number[there].ravel(), number[here].ravel()]
        weights += [weight.ravel(), weight.ravel()]
    size = (height * width, height * width)
    return sparse.csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), size)


def evened(ab: Paint, trust: Plane, lightness: Plane) -> Paint:
    """Colours evened out within areas of even lightness, and from what is sure to what is not: a wall has no clouds.

    Weighted least squares (as in Farbman, Fattal, Lischinski, Szeliski, "Edge-Preserving Decompositions", SIGGRAPH
    2008), solved exactly: pictures are a few thousand pixels.

    Args:
        ab: (h, w, 2), CIE a*, b*.
        trust: (h, w), above 0: how much each place's own colour counts.
        lightness: (h, w), CIE L*.
    """
    height, width = lightness.shape
    number = np.arange(height * width).reshape(height, width)
    rows, columns, weights = [], [], []
    for dy, dx, near in ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.7), (1, -1, 0.7)):
        here = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(dy, height), slice(max(0, dx), width + min(0, dx)))
        apart = (lightness[there].astype(np.float64) - lightness[here]) / _STEP
        rows.append(number[here].ravel())
        columns.append(number[there].ravel())
        weights.append((_EVENED * near / (1 + apart**4)).ravel())
    size = (height * width, height * width)
    half = sparse.csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), size)
    alike, own = half + half.T, trust.astype(np.float64).ravel() ** 2
    system = sparse.diags(np.asarray(alike.sum(1)).ravel() + own) - alike
    solved = spsolve(system.tocsc(), own[:, None] * ab.reshape(-1, 2))
    return np.asarray(solved.reshape(ab.shape), np.float32)


def _solved(luma: _Array, wanted: _Array, given: _Array, leak: float, start: _Array) -> _Array:
    """Conjugate gradients on (h, w, C) values, from `start`; all channels at once."""
    alike = _alike(luma)
    degree = np.asarray(alike.sum(1)).ravel()
    held = _HELD * given.ravel()
    diagonal = degree * (1 + leak) + held
    system = sparse.diags(diagonal) - alike
    right = held[:, None] * wanted.reshape(len(held), -1)
    found = start.reshape(right.shape).copy()
    rest = right - system @ found
    scaled = rest / diagonal[:, None]
    way, power = scaled.copy(), (rest * scaled).sum(0)
    goal = _NEAR**2 * np.maximum((right * right / diagonal[:, None]).sum(0), 1e-12)
    for _ in range(_STEPS):
        if (power <= goal).all():
            break
        moved = system @ way
        length = power / np.maximum((way * moved).sum(0), 1e-30)
        found += length * way
        rest -= length * moved
        scaled = rest / diagonal[:, None]
        before, power = power, (rest * scaled).sum(0)
        way = scaled + (power / np.maximum(before, 1e-30)) * way
    return found.reshape(start.shape)


def spread_out(luma: Small, values: Paint, given: npt.NDArray[np.bool_], leak: float = _LEAK) -> tuple[Paint, Plane]:
    """Spread what is given at some places over the picture.

    Args:
        luma: (h, w), the picture whose edges count.
        values: (h, w, C), what is given.
        given: (h, w), where.
        leak: how much of a value is lost from pixel to pixel; the larger, the less far it reaches.

    Returns:
        (h, w, C), and (h, w) from 1, where something was given, to 0, where nothing of it arrives.
    """
    height, width = luma.shape
    scales = [1]
    while min(height, width) // (2 * scales[-1]) >= _SMALLEST:
        scales.append(2 * scales[-1])
    ones = np.ones((height, width, 1))
    weighted = np.dstack((values, ones)) * given[..., None].astype(np.float64)
    found: _Array | None = None
    for scale in reversed(scales):
        size = (width // scale, height // scale)
        grey = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float64) / 255
        share = cv2.resize(np.asarray(weighted, np.float64), size, interpolation=cv2.INTER_AREA)
        held = share[..., -1]
        wanted = share / np.maximum(held, 1e-9)[..., None]
        start = np.zeros_like(wanted) if found is None else cv2.resize(found, size, interpolation=cv2.INTER_LINEAR)
        # Fewer pixels lie between two places: each must lose more.
        found = _solved(grey, wanted, held, leak * scale**2, np.asarray(start, np.float64))
    assert found is not None
    reach = np.clip(found[..., -1], 0, 1)
    spread = found[..., :-1] / np.maximum(found[..., -1:], 1e-6)
    low, high = values[given].min(0), values[given].max(0)
    return np.clip(spread, low, high).astype(np.float32), reach.astype(np.float32)
