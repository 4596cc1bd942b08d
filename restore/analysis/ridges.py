"""Thin vertical lines of a picture: what scratches look like, and some things of the scene.

A line scratch is a narrow ridge or trough of the horizontal profile (Kokaram, Motion Picture Restoration, 1998, ch. 9;
Joyeux et al., "Detection and removal of line scratches in motion picture films", CVPR 1999): brighter, or darker, than
the picture at both sides of it. Its path down the picture is found by dynamic programming over horizontal strips.
"""

from __future__ import annotations

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


def reach(height: int) -> int:
    """How far from a line its sides are looked at, in pixels."""
    return max(3, round(4 * height / 480))


def response(luma: Plane, sign: int) -> Plane:
    """(H, W): by how much each pixel is lighter (or, for sign -1, darker) than those at both sides, at least 0.

    The picture is smoothed along columns first.
    """
    height = luma.shape[0]
    away = reach(height)
    smooth = cv2.blur(luma, (1, max(3, height // 60 | 1))) * np.float32(sign)
    wide = cv2.copyMakeBorder(smooth, 0, 0, away, away, cv2.BORDER_REPLICATE)
    sides = np.maximum(wide[:, : -2 * away], wide[:, 2 * away :])
    result = np.clip(smooth - sides, 0, _CLIP)
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
    usual = np.percentile(rows, 80, axis=1, keepdims=True)
    spread = np.percentile(rows, 95, axis=1, keepdims=True)
    around = cv2.blur(rows, (max(15, width // 10) | 1, 1), borderType=cv2.BORDER_REFLECT)
    least = np.maximum(np.maximum(0.012, 2.0 * usual), np.maximum(0.9 * spread, 4.0 * around))
    return np.asarray(rows / least, np.float32)


def best_path(rows: Plane, step: int = 1) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The best path from top to bottom to every column of the last strip: its sum, (W,), and its way, (strips, W).

    A path moves by at most `step` columns from strip to strip (Viterbi).
    """
    count, width = rows.shape
    total = rows[0].astype(np.float64)
    back = np.zeros((count, width), np.intp)
    for row in range(1, count):
        padded = np.pad(total, step, constant_values=-np.inf)
        options = np.stack([padded[k : k + width] - 0.02 * abs(k - step) for k in range(2 * step + 1)])
        choice = options.argmax(0)
        back[row] = np.arange(width) + choice - step
        total = options[choice, np.arange(width)] + rows[row]
    way = np.empty((count, width), np.intp)
    way[-1] = np.arange(width)
    for row in range(count - 1, 0, -1):
        way[row - 1] = back[row][way[row]]
    return total, way


def precise(rows: Plane, columns: npt.NDArray[np.intp]) -> Floats:
    """Columns of peaks to a fraction of a pixel: the centre of gravity of three."""
    width = rows.shape[1]
    strip = np.arange(len(columns))
    around = np.stack([rows[strip, np.clip(columns + k, 0, width - 1)] for k in (-1, 0, 1)]).astype(np.float64)
    return np.asarray(columns + (around[2] - around[0]) / np.maximum(around.sum(0), 1e-9))


def ridges(luma: Plane, count: int = 16, share: float = 0.5, most: int = 24) -> list[Ridge]:
    """Thin lines that show in at least `share` of `count` strips, the plainest first; without a line's own rims."""
    found: list[tuple[float, Ridge]] = []
    for sign in (1, -1):
        rows = strips(response(luma, sign), count)
        certain = np.minimum(significance(rows), 1.5)
        total, way = best_path(np.where(certain >= 1, certain, certain * 0.3))
        apart = 2 * reach(luma.shape[0])
        for _ in range(most):
            end = int(total.argmax())
            columns = way[:, end]
            present = certain[np.arange(count), columns] >= 1
            if present.mean() < share:
                break
            x = precise(rows, columns)
            strip = np.arange(count)
            x = np.interp(strip, strip[present], x[present])
            found.append((float(total[end]), Ridge(x, present, sign)))
            total[(np.abs(way - columns[:, None]) < apart).any(0)] = -np.inf
            if not np.isfinite(total).any():
                break
    found.sort(key=lambda pair: -pair[0])
    plain: list[Ridge] = []
    for _, ridge in found:
        if all(np.median(np.abs(ridge.x - other.x)) >= 2 * reach(luma.shape[0]) for other in plain):
            plain.append(ridge)
    return plain[:most]
