"""Taking a scratch off: the layer it laid over the picture is measured and subtracted; what shows through it stays.

Most scratches are translucent: what they add has one profile across, which changes slowly along them (Kokaram, Motion
Picture Restoration, Springer 1998, ch. 9). Profile, depth and exact path are fitted by weighted least squares to two
kinds of data: what the frame differs by from a bridge over the scratch, and what it differs by from the frames beside,
moved into its place. Those have the scratch too; where it or the scene has moved by as little as half a pixel, their
difference is the layer's alone, and the picture is no longer in it. Each datum weighs as much as its like proves right
beside the scratch, where nothing hides the truth. The repair weighs the frame without the layer against the guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Picture, Plane
from restore.stages.dedust.detect import Mask
from restore.stages.dedust.gaps import Gaps

Rows = npt.NDArray[np.float32]

STEP = 0.25
"""Pixels between the points of a profile."""
_ROUNDS = 3
_SIDE = 6
"""So many pixels at each side of a scratch tell how well a guess hits."""
_VISIBLE = 5.5 / 255
"""What a scratch changes by less stays as it is."""
_LEAST = 2e-5
"""Variance of the best guess."""
_UNEVEN = 0.25
"""By what share of itself the depth of a scratch usually varies along it."""
_MOST = 1.8
"""How much deeper than usual it gets."""
_UNSURE = 0.15
"""By what share of itself the layer of a frame beside is wrong."""
_STRAYS = 0.3
"""By how many pixels a path that was found by eye is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A part of a frame, in the place of the frame that is repaired."""

    picture: Picture
    """(H, W, C), nominally [0, 1]."""
    away: Plane
    """(H, W): how far right of this frame's scratch each pixel lies, in pixels."""
    valid: Mask
    """(H, W): where it shows the picture or this scratch, and nothing else."""


def peel(here: View, others: Sequence[View], there: Mask, half: float, unit: float) -> tuple[Picture, Mask]:
    """A part of a picture without one scratch, and what of it was changed.

    Args:
        here: the part.
        others: what frames beside show in its place.
        there: (H,), in which rows the scratch is.
        half: half the width of all it covers, in pixels.
        unit: the picture's height over 480, the scale of all lengths.
    """
    hole = (np.abs(here.away) <= half) & there[:, None]
    clipped = (here.picture >= 0.999) | (here.picture <= 0.001)
    data = [_bridged(here, hole, clipped, half, unit), *(_compared(here, o, hole, clipped, half, unit) for o in others)]
    fitted = _fit(data, half, unit)
    if fitted is None:
        return here.picture, np.zeros_like(hole)
    depth, shapes = fitted
    total = np.zeros(hole.shape)
    summed = np.zeros(here.picture.shape)
    for datum, deep, shape in zip(data, (np.zeros_like(depth[0]), *depth[1:]), shapes, strict=True):
        laid = deep[:, None] * shape if datum.away is not None else np.zeros_like(shape)
        trust = datum.trust * datum.valid / (1 + datum.trust * (_UNSURE * laid) ** 2)
        total += trust
        summed += (here.picture - datum.over - laid[..., None]) * trust[..., None]
    known = total > 0
    mean = summed / np.maximum(total, 1e-9)[..., None]
    guess = np.asarray(np.where(known[..., None], mean, here.picture - data[0].over), np.float32)
    layer = np.asarray(depth[0][:, None] * shapes[0] * hole, np.float32)
    tints = _tints(
        np.asarray(here.picture - guess, np.float32),
        layer,
        np.asarray((total * (hole & known))[..., None] * ~clipped, np.float32),
    )
    layers = np.asarray(layer[..., None] * tints, np.float32)
    return _uncovered(here.picture, layers, hole, clipped, guess, np.asarray(total, np.float32), unit)


@dataclass(frozen=True, slots=True, eq=False)
class _Datum:
    """What a frame differs by from one guess of the picture beneath its scratch."""

    over: Picture
    """(H, W, C)."""
    grey: Plane
    """Its mean over the channels that are not clipped."""
    trust: Plane
    """(H, W): one over the variance of the guess's error."""
    valid: Mask
    usable: Plane
    """1 where its difference is that of layers, else 0."""
    start: Plane
    """How far right of this frame's own scratch each pixel lies."""
    away: Plane | None
    """How far right of the other frame's."""


def along(values: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Smoothed down the picture: (H,) or (H, K)."""
    side = 2 * int(3 * sigma) + 1
    columns = np.ascontiguousarray(values.reshape(len(values), -1), np.float32)
    smooth = cv2.GaussianBlur(columns, (1, side), sigmaX=0.1, sigmaY=sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth.reshape(values.shape), np.float32)


def _bridged(here: View, hole: Mask, clipped: Mask, half: float, unit: float) -> _Datum:
    """The difference from a bridge between the two sides."""
    part = here.picture
    gaps = Gaps.of(hole)
    over = np.asarray(part - gaps.bridged(part), np.float32)
    missed, count = np.zeros(len(part), np.float32), np.zeros(len(part), np.float32)
    for step in (-int(2 * half + 3), int(2 * half + 3)):
        beside = gaps.beside(step)
        where = beside.mask(hole.shape) * (here.valid & ~hole)
        missed += (((part - beside.bridged(part)) ** 2).mean(-1) * where).sum(1)
        count += where.sum(1)
    variance = along(missed, 4 * unit) / np.maximum(along(count, 4 * unit), 1e-3) + _LEAST
    trust = np.repeat(np.asarray(1 / variance, np.float32)[:, None], part.shape[1], 1)
    usable = (hole & ~clipped.all(-1)).astype(np.float32)
    return _Datum(over, _grey(over, ~clipped), trust, hole, usable, here.away, None)


def _grey(over: Picture, open_: npt.NDArray[np.bool_]) -> Plane:
    """The mean over the channels that are not clipped."""
    return np.asarray((over * open_).sum(-1) / np.maximum(open_.sum(-1), 1), np.float32)


def _compared(here: View, other: View, hole: Mask, clipped: Mask, half: float, unit: float) -> _Datum:
    """The difference from another frame, made as bright."""
    part = here.picture
    theirs = np.abs(other.away) <= half
    sides = (
        (np.abs(here.away) > half) & (np.abs(here.away) <= half + _SIDE) & ~theirs & other.valid & here.valid
    ).astype(np.float32)
    many = np.maximum(along(sides.sum(1), 8 * unit), 1e-3)
    difference = part - other.picture
    level = along((difference * sides[..., None]).sum(1), 8 * unit) / many[:, None]
    over = np.asarray(difference - level[:, None], np.float32)
    count = along(sides.sum(1), 4 * unit)
    error = along(((over**2).mean(-1) * sides).sum(1), 4 * unit) / np.maximum(count, 1e-3)
    trust = np.where(count > 1, 1 / (error + _LEAST), 0)[:, None] * other.valid.astype(np.float32)
    dark = (other.picture >= 0.999) | (other.picture <= 0.001) | clipped
    usable = (hole | theirs) & other.valid & ~dark.all(-1)
    return _Datum(over, _grey(over, ~dark), trust, other.valid & hole, usable.astype(np.float32), here.away, other.away)


def _fit(data: Sequence[_Datum], half: float, unit: float) -> tuple[list[Rows], list[Plane]] | None:
    """Depths and shapes of the layers of this frame and of the others; None where nothing is laid over it."""
    own = data[0].start
    aways = [own, *(datum.away for datum in data[1:] if datum.away is not None)]
    weights = [datum.trust * datum.usable for datum in data]
    depth = [np.ones(len(own), np.float32) for _ in data]
    for turn in range(_ROUNDS):
        values = _profile(data, aways, weights, depth, half)
        if values is None:
            return None
        shapes = [_at(values, away) for away in aways]
        depth = _depths(data, weights, shapes, unit)
        if turn < _ROUNDS - 1:
            slopes = [(_at(values, away + STEP) - _at(values, away - STEP)) / (2 * STEP) for away in aways]
            shifts = _shifts(data, weights, depth, shapes, slopes, unit)
            aways = [away - shift[:, None] for away, shift in zip(aways, shifts, strict=True)]
    return depth, shapes


def _at(values: Rows, away: Plane) -> Plane:
    """A profile's values so far from its middle."""
    n = len(values) // 2
    place = np.clip(away * (1 / STEP) + n, 0, 2 * n).astype(np.float32)
    return np.asarray(
        cv2.remap(values[None], place, np.zeros_like(place), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )


def _profile(
    data: Sequence[_Datum], aways: Sequence[Plane], weights: Sequence[Plane], depth: Sequence[Rows], half: float
) -> Rows | None:
    """What a scratch adds across itself, 1 at its peak, in steps from the middle; 0 at both ends."""
    n = int(np.ceil(half / STEP)) + 1
    size = 2 * n + 1
    matrix, vector = np.zeros((size, size)), np.zeros(size)
    for number, (datum, weight) in enumerate(zip(data, weights, strict=True)):
        row, column = np.nonzero(weight)
        each = np.sqrt(weight[row, column])
        design = _spread(aways[0][row, column], depth[0][row] * each, size)
        if number:
            design -= _spread(aways[number][row, column], depth[number][row] * each, size)
        matrix += design.T @ design
        vector += design.T @ (datum.grey[row, column] * each)
    bend = np.diff(np.eye(size), 2, axis=0)
    matrix += bend.T @ bend * (np.trace(matrix) / size * 0.02) + np.eye(size) * (np.trace(matrix) / size * 1e-3 + 1e-9)
    matrix[[0, -1]] = 0
    matrix[[0, -1], [0, -1]] = 1
    vector[[0, -1]] = 0
    values = np.linalg.solve(matrix, vector)
    middle = values[n - 3 : n + 4]
    peak = float(middle[np.abs(middle).argmax()])
    return None if abs(peak) < 1e-4 else np.asarray(values / peak, np.float32)


def _spread(away: Rows, values: Rows, size: int) -> Rows:
    """(samples, size): values shared out between the two points of the profile at each side of where they lie."""
    place = np.clip(away / STEP + size // 2, 0, size - 1.001)
    low = place.astype(int)
    part = (place - low).astype(np.float32)
    result = np.zeros((len(away), size), np.float32)
    number = np.arange(len(away))
    result[number, low] = values * (1 - part)
    result[number, low + 1] = values * part
    return result


def _normal(
    weights: Sequence[Plane], columns: Sequence[Plane], goals: Sequence[Plane]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Row by row, the normal equations of ``goal = own column - other's column``: (H, K, K) and (H, K)."""
    height, count = len(columns[0]), len(columns)
    matrix, vector = np.zeros((height, count, count), np.float32), np.zeros((height, count), np.float32)
    for number, (weight, goal) in enumerate(zip(weights, goals, strict=True)):
        own = columns[0] * weight
        matrix[:, 0, 0] += (own * columns[0]).sum(1)
        vector[:, 0] += (own * goal).sum(1)
        if number:
            other = columns[number] * weight
            matrix[:, 0, number] = matrix[:, number, 0] = -(own * columns[number]).sum(1)
            matrix[:, number, number] = (other * columns[number]).sum(1)
            vector[:, number] = -(other * goal).sum(1)
    return matrix, vector


def _depths(data: Sequence[_Datum], weights: Sequence[Plane], shapes: Sequence[Plane], unit: float) -> list[Rows]:
    """How much the scratch adds in each row of each frame, drawn to what it adds over many rows and all frames."""
    matrix, vector = _normal(weights, shapes, [datum.grey for datum in data])
    power, found = along(matrix.sum((1, 2)), 40 * unit), along(vector.sum(1), 40 * unit)
    # All as deep: a single unknown.
    usual = found / np.maximum(power, 1e-6)
    sigma = 5 * unit
    rows = np.float32(2 * np.sqrt(np.pi) * sigma)
    prior = 1 / (_UNEVEN**2 * usual**2 + 1e-5)
    drawn = along(matrix, sigma) * rows + prior[:, None, None] * np.eye(matrix.shape[1])
    goal = along(vector, sigma) * rows + (prior * usual)[:, None]
    depths = np.linalg.solve(drawn, goal[..., None])[..., 0].T.astype(np.float32)
    # What adds where the rest of the scratch takes away, or adds far more, is of the picture.
    middle = float(np.median(usual[weights[0].any(1)])) if weights[0].any() else 0.0
    return list(np.clip(depths, min(0.0, _MOST * middle), max(0.0, _MOST * middle)))


def _shifts(
    data: Sequence[_Datum],
    weights: Sequence[Plane],
    depth: Sequence[Rows],
    shapes: Sequence[Plane],
    slopes: Sequence[Plane],
    unit: float,
) -> list[Rows]:
    """By how much each path lies further right (Gauss-Newton), smooth, drawn to 0."""
    laid = [deep[:, None] * shape for deep, shape in zip(depth, shapes, strict=True)]
    goals = [datum.grey - laid[0] + (laid[n] if n else 0) for n, datum in enumerate(data)]
    columns = [-deep[:, None] * slope for deep, slope in zip(depth, slopes, strict=True)]
    matrix, vector = _normal(weights, columns, goals)
    sigma = 20 * unit
    rows = np.float32(2 * np.sqrt(np.pi) * sigma)
    drawn = along(matrix, sigma) * rows + np.eye(matrix.shape[1]) / _STRAYS**2
    found = np.linalg.solve(drawn, (along(vector, sigma) * rows)[..., None])[..., 0]
    return list(np.clip(found, -0.5, 0.5).T.astype(np.float32))


def _tints(over: Picture, layer: Plane, weight: Picture) -> Rows:
    """(C,): how much of a grey layer lies on each channel; as much as on the others where it cannot be seen."""
    power = (layer[..., None] ** 2 * weight).sum((0, 1))
    found = (over * layer[..., None] * weight).sum((0, 1))
    usual = float(found.sum() / max(power.sum(), 1e-9))
    return np.asarray(np.where(power > 0.01 * power.sum(), found / np.maximum(power, 1e-9), usual), np.float32)


def _uncovered(
    part: Picture, layer: Picture, hole: Mask, clipped: Mask, guess: Picture, trust: Plane, unit: float
) -> tuple[Picture, Mask]:
    """The frame without the layer, weighed against the guess; what was clipped is known only to lie beyond."""
    changed = (np.abs(layer) >= _VISIBLE).any(-1) & hole
    bare = part - layer
    usable = (changed & ~clipped.all(-1)).astype(np.float32)
    power = along((_grey((bare - guess) ** 2, ~clipped) * trust * usable).sum(1), 8 * unit)
    power = np.asarray(power / np.maximum(along(usable.sum(1), 8 * unit), 1e-3), np.float32)
    gain = np.clip(1 / np.maximum(power, 1e-6), 0, 1)[:, None, None]
    mixed = guess + gain * (bare - guess)
    low = np.where(part >= 0.999, np.minimum(bare, 1), -np.inf)
    high = np.where(part <= 0.001, np.maximum(bare, 0), np.inf)
    result = np.asarray(np.where(clipped, np.clip(guess, low, high), mixed), np.float32)
    changed &= (np.abs(result - part) >= _VISIBLE).any(-1)
    return np.asarray(np.where(changed[..., None], result, part), np.float32), changed
