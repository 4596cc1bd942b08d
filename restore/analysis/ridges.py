"""Thin vertical lines of a picture: what scratches look like, and some things of the scene.

A line scratch is a narrow ridge or trough of the horizontal profile (Kokaram, Motion Picture Restoration, 1998, ch. 9;
Joyeux et al., "Detection and removal of line scratches in motion picture films", CVPR 1999): brighter, or darker, than
the picture at both sides of it. Its path down the picture is found by dynamic programming over horizontal strips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Plane

Floats = npt.NDArray[np.float64]

_CLIP = 0.08
"""A ridge counts no more than this: one bright object is not a line."""


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """A thin line down the picture."""

    x: Floats
    """Its place in each strip, in pixels; where it does not show, what lies between."""
    present: npt.NDArray[np.bool_]
    """In which strips it shows."""
    sign: int
    """1: lighter than its surroundings, -1: darker."""
    over: Floats
    """By how much its middle stands out of a bridge between both sides, in each strip."""
    sides: Floats
    """(strips, 2): how bright it is left and right of it."""


def reach(height: int) -> int:
    """How far from a line its sides are looked at, in pixels."""
    return max(3, round(4 * height / 480))


def response(luma: Plane, sign: int) -> Plane:
    """(H, W): by how much each pixel is lighter (or, for sign -1, darker) than those at both sides, at least 0.

    The picture is smoothed along columns first.
    """
    return _standing_out(cv2.blur(luma, (1, _smoothed(len(luma)))), sign, reach(len(luma)))


def _smoothed(height: int) -> int:
    """Over how many rows a picture is smoothed."""
    return max(3, height // 60 | 1)


def _standing_out(smooth: Plane, sign: int, away: int) -> Plane:
    wide = cv2.copyMakeBorder(smooth, 0, 0, away, away, cv2.BORDER_REPLICATE)
    if sign > 0:
        over = smooth - np.maximum(wide[:, : -2 * away], wide[:, 2 * away :])
    else:
        over = np.minimum(wide[:, : -2 * away], wide[:, 2 * away :]) - smooth
    result = np.minimum(np.maximum(over, 0), np.float32(_CLIP))
    result[:, :2] = result[:, -2:] = 0
    return np.asarray(result, np.float32)


def strips(plane: Plane, count: int) -> Plane:
    """(count, W): means over horizontal strips of about equal height."""
    return np.asarray(cv2.resize(plane, (plane.shape[1], count), interpolation=cv2.INTER_AREA), np.float32)


def significance(rows: Plane) -> Plane:
    """Responses of strips over what is usual in their strip and around them; 1 is a line one would notice.

    Bark, foliage and fences are full of thin lines: there, one more means little.
    """
    width = rows.shape[1]
    usual, spread = np.percentile(rows, (80, 95), axis=1, keepdims=True)
    around = cv2.blur(rows, (max(15, width // 10) | 1, 1), borderType=cv2.BORDER_REFLECT)
    least = np.maximum(np.maximum(0.012, 2.0 * usual), np.maximum(0.9 * spread, 4.0 * around))
    return np.asarray(rows / least, np.float32)


def best_path(rows: Plane, step: int = 1) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The best path from top to bottom to every column of the last strip: its sum, (W,), and its way, (strips, W).

    A path moves by at most `step` columns from strip to strip (Viterbi).
    """
    total, way = _paths(rows, step, restart=False)
    return total[-1], way


def _paths(rows: Plane, step: int, restart: bool) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The best sums that end in each place, (strips, W), and the ways to the last strip, or back from every place."""
    count, width = rows.shape
    total = np.empty((count, width))
    total[0] = rows[0]
    back = np.zeros((count, width), np.intp)
    for row in range(1, count):
        padded = np.pad(total[row - 1], step, constant_values=-np.inf)
        options = np.stack([padded[k : k + width] - 0.02 * abs(k - step) for k in range(2 * step + 1)])
        choice = options.argmax(0)
        best = options[choice, np.arange(width)]
        back[row] = np.arange(width) + choice - step
        if restart:
            back[row] = np.where(best > 0, back[row], -1)
            best = np.maximum(best, 0)
        total[row] = best + rows[row]
    if restart:
        return total, back
    way = np.empty((count, width), np.intp)
    way[-1] = np.arange(width)
    for row in range(count - 1, 0, -1):
        way[row - 1] = back[row][way[row]]
    return total, way


def precise(rows: Plane, columns: npt.NDArray[np.intp]) -> Floats:
    """Columns of peaks to a fraction of a pixel: the centre of gravity of three; what is below 0 weighs nothing."""
    nearest = np.clip(columns + np.arange(-1, 2)[:, None], 0, rows.shape[1] - 1)
    around = np.maximum(rows[np.arange(len(columns)), nearest].astype(np.float64), 0)
    return np.asarray(columns + (around[2] - around[0]) / np.maximum(around.sum(0), 1e-9))


def _centred(means: Plane, columns: npt.NDArray[np.intp], sign: int, away: int) -> tuple[Floats, Floats, Floats]:
    """Where in each strip the middle of a line is, to a few hundredths of a pixel; `Ridge.over` and `Ridge.sides`.

    Means of strips, (strips, W), and the line's columns. What stands out of a bridge between both sides is weighed by a
    window that is moved onto it (adaptive moments, as stars are centred), so that nothing draws to whole pixels.
    """
    width = means.shape[1]
    strip = np.arange(len(columns))[:, None]
    offsets = np.arange(-away - 1, away + 2)
    first = np.clip(columns, away + 1, max(away + 1, width - away - 2))
    values = means[strip, np.clip(first[:, None] + offsets, 0, width - 1)].astype(np.float64)
    sides = np.stack((values[:, :2].mean(1), values[:, -2:].mean(1)), axis=1)
    over = sign * (values - sides[:, :1] - (sides[:, 1:] - sides[:, :1]) * np.linspace(0, 1, len(offsets)))
    start = x = (columns - first).astype(np.float64)
    for _ in range(6):
        window = np.exp(-((offsets - x[:, None]) ** 2) / (2 * (away / 2.7) ** 2)) * over
        total = window.sum(1)
        off = (window * (offsets - x[:, None])).sum(1) / np.where(total > 1e-4, total, np.inf)
        # A strong line's response is flat at its top (`_CLIP`), so its column may be a pixel or two off.
        x = np.clip(x + np.clip(1.5 * off, -1, 1), start - 2, start + 2)
    middle = np.clip(np.round(x).astype(int) + away, 0, 2 * away)[:, None] + np.arange(3)
    return first + x, over[strip, middle].max(1), sides


def ridges(luma: Plane, count: int = 16, least: float = 3.0, most: int = 24) -> list[Ridge]:
    """Thin lines in `count` strips, the plainest first; without a line's own rims.

    A line may begin and end anywhere. Each strip in which it is plain counts some 0.7 for it, each in which it is not
    about 0.4 against it, and it needs `least`.
    """
    found: list[tuple[float, Ridge]] = []
    apart = 2 * reach(luma.shape[0])
    strip = np.arange(count)
    height = len(luma)
    # What is smoothed over so many rows need not be looked at in each of them.
    every = max(1, _smoothed(height) // 3)
    smooth = cv2.blur(strips(luma, height // every) if every > 1 else luma, (1, 3))
    means = strips(smooth, count)
    for sign in (1, -1):
        rows = strips(_standing_out(smooth, sign, reach(height)), count)
        certain = np.minimum(significance(rows), 1.5)
        score = np.asarray(np.where(certain >= 1, certain, certain * 0.3) - 0.45, np.float32)
        total, back = _paths(score, 1, restart=True)
        for _ in range(most):
            last, column = np.unravel_index(int(total.argmax()), total.shape)
            sum_ = float(total[last, column])
            if sum_ < least:
                break
            way = np.full(count, column, np.intp)
            first = int(last)
            while first > 0 and back[first, way[first]] >= 0:
                way[first - 1] = back[first, way[first]]
                first -= 1
            way[:first] = way[first]
            present = (certain[strip, way] >= 1) & (strip >= first) & (strip <= last)
            x, over, sides = _centred(means, way, sign, reach(height))
            x = np.interp(strip, strip[present], x[present])
            found.append((sum_, Ridge(x, present, sign, over, sides)))
            # Nothing that ends near this line, on any height, is another.
            taken = np.abs(np.arange(luma.shape[1]) - way[:, None]) < apart
            taken[:first] = taken[int(last) + 1 :] = False
            total[taken] = -np.inf
    found.sort(key=lambda pair: -pair[0])
    plain: list[Ridge] = []
    for _, ridge in found:
        if not plain or distances(ridge.x, ridge.present, plain).min() >= apart:
            plain.append(ridge)
    return plain[:most]


def distances(x: Floats, present: npt.NDArray[np.bool_], lines: Sequence[Ridge]) -> Floats:
    """(len(lines),): pixels between a line and others, the median of the strips where both show; else infinite."""
    both = np.stack([line.present for line in lines]) & present
    away = np.where(both, np.abs(np.stack([line.x for line in lines]) - x), np.inf)
    away.sort(axis=1)
    count, number = both.sum(1), np.arange(len(lines))
    middle = (away[number, np.maximum(count - 1, 0) // 2] + away[number, np.minimum(count // 2, len(x) - 1)]) / 2
    return np.where(count > 0, middle, np.inf)
