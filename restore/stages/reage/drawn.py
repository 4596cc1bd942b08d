"""Folds, wrinkles and spots that are not there yet: where age puts them, drawn once a track, laid over every frame."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from torch import Tensor

from restore.stages.reage.alignment import Framing
from restore.stages.reage.zones import zone_masks

Plane = npt.NDArray[np.float32]

_Line = tuple[tuple[float, float], ...]
_LINES: dict[str, tuple[float, float, float, tuple[_Line, ...]]] = {
    # zone: age from which they deepen, depth after thirty years more, width; curves in eye distances, right side
    "forehead": (35, 0.15, 0.018, (
        ((-0.62, -0.52), (-0.35, -0.58), (0, -0.55), (0.35, -0.58), (0.62, -0.52)),
        ((-0.66, -0.70), (-0.33, -0.77), (0, -0.74), (0.33, -0.77), (0.66, -0.70)),
        ((-0.58, -0.88), (-0.30, -0.94), (0, -0.92), (0.30, -0.94), (0.58, -0.88)),
    )),
    "glabella": (40, 0.22, 0.018, (((0.10, -0.36), (0.11, -0.24), (0.085, -0.12)),)),
    "crows-feet": (40, 0.18, 0.013, (
        ((0.80, -0.02), (0.92, -0.08), (1.04, -0.16)), ((0.82, 0.05), (0.95, 0.05), (1.08, 0.03)),
        ((0.80, 0.12), (0.92, 0.17), (1.04, 0.24)), ((0.76, 0.18), (0.86, 0.27), (0.95, 0.38)),
    )),
    "under-eye": (40, 0.16, 0.028, (
        ((0.24, 0.17), (0.38, 0.28), (0.55, 0.31), (0.74, 0.24)),
        ((0.22, 0.24), (0.36, 0.40), (0.55, 0.45), (0.72, 0.40)),
    )),
    "nasolabial": (35, 0.24, 0.042, (((0.25, 0.55), (0.38, 0.70), (0.50, 0.86), (0.57, 1.02)),)),
    "mouth": (50, 0.12, 0.012, (
        ((0.08, 0.88), (0.085, 0.80)), ((0.20, 0.88), (0.22, 0.80)), ((0.31, 0.92), (0.345, 0.85)),
        ((0.12, 1.18), (0.125, 1.25)), ((0.24, 1.15), (0.265, 1.22)),
    )),
    "chin": (45, 0.11, 0.034, (((0.53, 1.10), (0.56, 1.22), (0.55, 1.36)),)),
    "cheeks": (55, 0.06, 0.018, (
        ((0.66, 0.48), (0.74, 0.66), (0.78, 0.86)), ((0.78, 0.50), (0.86, 0.68), (0.88, 0.88)),
    )),
    "neck": (45, 0.17, 0.026, (
        ((-0.50, 1.98), (-0.2, 2.06), (0.15, 2.06), (0.50, 1.97)),
        ((-0.52, 2.20), (-0.2, 2.28), (0.18, 2.28), (0.5, 2.19)),
    )),
}  # fmt: skip
ZONES = tuple(_LINES)
"""That have lines to draw."""
_Shade = tuple[float, float, _Line]
_FOLDS: dict[str, tuple[float, tuple[_Shade, ...]]] = {
    # zone: age from which it sags; logarithm of luma after thirty years more, width, curve or place, right side
    "under-eye": (40, ((-0.19, 0.055, ((0.20, 0.20), (0.34, 0.40), (0.55, 0.47), (0.76, 0.38))),
                       (0.06, 0.060, ((0.28, 0.20), (0.50, 0.31), (0.72, 0.25))))),
    "nasolabial": (35, ((-0.21, 0.065, ((0.24, 0.52), (0.40, 0.68), (0.54, 0.90), (0.60, 1.10))),
                        (0.06, 0.090, ((0.40, 0.45), (0.56, 0.66), (0.68, 0.92))))),
    "cheeks": (50, ((-0.11, 0.200, ((0.82, 0.78), (0.80, 1.02))), (0.09, 0.150, ((0.72, 1.20), (0.76, 1.36))))),
    "chin": (45, ((-0.16, 0.060, ((0.47, 1.08), (0.545, 1.22), (0.56, 1.42))),
                  (-0.10, 0.045, ((0.0, 1.22), (0.12, 1.215), (0.24, 1.20))),
                  (0.05, 0.120, ((0.0, 1.36), (0.1, 1.37))))),
    "forehead": (45, ((-0.10, 0.180, ((0.98, -0.50), (0.98, -0.28))),)),
}  # fmt: skip
"""What sags throws soft shadows, and catches light above them: bags under the eyes, folds beside nose and mouth, jowls,
hollow cheeks and temples."""
_CREPE: dict[str, tuple[float, float, float, bool, float]] = {
    # zone: middle of the arcs that its fine lines follow, or from which they lead away; how far it lies; depth
    "forehead": (0.0, 2.2, 2.9, False, 0.035), "crows-feet": (0.6, 0.02, 0.3, True, 0.050),
    "under-eye": (0.5, -0.1, 0.4, False, 0.050), "cheeks": (0.0, 1.0, 0.8, False, 0.045),
    "mouth": (0.0, 3.0, 2.0, True, 0.035), "neck": (0.0, -1.5, 3.5, False, 0.050),
}  # fmt: skip
_CREPE_FROM = 45.0
_DEPTH = 1.9
_LONGEST = 2.3
"""Times thirty years over which it goes on: a face of seventy has as much before it as one of forty."""
_MIDDLE = ("forehead", "neck")
_SPOTS_FROM, _SPOTS = 55.0, 18
_SHIFT = 0.025


def depth_of(zone: str, age: Tensor) -> Tensor:
    """(N,) how deep a zone's lines are at ages, as a logarithm of luma."""
    first, depth, *_ = _LINES[zone]
    return _DEPTH * depth * ((age - first) / 30).clamp(0, _LONGEST)


def sag_of(zone: str, age: Tensor) -> Tensor:
    """(N,) how deep a zone's folds are at ages: 1 after thirty years."""
    return ((age - _FOLDS[zone][0]) / 30).clamp(0, _LONGEST) if zone in _FOLDS else torch.zeros_like(age)


def crepe_of(zone: str, age: Tensor) -> Tensor:
    """(N,) how deep a zone's finest lines are at ages, as a logarithm of luma."""
    return _CREPE[zone][4] * ((age - _CREPE_FROM) / 30).clamp(0, _LONGEST) if zone in _CREPE else torch.zeros_like(age)


def spots_of(age: Tensor) -> Tensor:
    """(N,) how strong age spots are at ages, as a logarithm of luma."""
    return 0.17 * ((age - _SPOTS_FROM) / 25).clamp(0, 1.8)


@lru_cache(maxsize=32)
def lines(zone: str, seed: int, side: int, framing: Framing) -> Tensor:
    """(side, side): a zone's lines on the usual face; 1 in the middle of a valley, a little below 0 beside it."""
    rng = np.random.default_rng([seed, sum(map(ord, zone))])
    _, _, width, curves = _LINES[zone]
    unit = framing.distance * side
    total = np.zeros((side, side), np.float32)
    for curve in curves:
        for sign in (1,) if zone in _MIDDLE else (1, -1):
            points = np.array([(sign * x, y) for x, y in curve]) + rng.normal(0, 0.5 * _SHIFT, 2)
            points += rng.normal(0, 0.6 * _SHIFT, points.shape)
            for piece in _pieces(points, rng) if zone in _MIDDLE else (points,):
                valley = _valley(piece, width * float(rng.uniform(0.75, 1.25)) * unit, side, framing, rng)
                total = np.maximum(total, float(rng.uniform(0.35, 1.0)) * valley)
    # Light comes from above: the lower wall of a furrow catches it.
    rim = cv2.GaussianBlur(total, (0, 0), max(0.6, 1.5 * width * unit))
    down = np.array([(1, 0, 0), (0, 1, 1.4 * width * unit)], np.float32)
    return torch.from_numpy(total - 0.55 * cv2.warpAffine(rim, down, (side, side)))


def _pieces(points: npt.NDArray[np.float64], rng: np.random.Generator) -> list[npt.NDArray[np.float64]]:
    """A long line in two that pass each other: no furrow runs across a whole forehead unbroken."""
    at, across = np.linspace(0, 1, len(points)), float(rng.uniform(0.3, 0.7))
    path = [np.polyfit(at, points[:, axis], 3) for axis in (0, 1)]
    pieces = []
    for first, last in ((float(rng.uniform(0, 0.12)), across + 0.07), (across - 0.07, float(rng.uniform(0.88, 1)))):
        fine = np.linspace(first, last, 5)
        piece = np.stack([np.polyval(one, fine) for one in path], 1)
        pieces.append(piece + np.array((0, rng.normal(0, _SHIFT))))
    return pieces


def _valley(
    points: npt.NDArray[np.float64], width: float, side: int, framing: Framing, rng: np.random.Generator
) -> Plane:
    """(side, side) one line, `width` pixels wide, uneven, thinning out towards its ends."""
    unit = framing.distance * side
    fine = np.linspace(0, 1, 48)
    degree = min(3, len(points) - 1)
    at = np.linspace(0, 1, len(points))
    path = np.stack([np.polyval(np.polyfit(at, points[:, axis], degree), fine) for axis in (0, 1)], 1)
    path += 0.006 * gaussian_filter1d(rng.normal(0, 1, path.shape), 2.0, axis=0) * np.sqrt(4 * np.sqrt(np.pi))
    uneven = np.clip(0.75 + 0.9 * gaussian_filter1d(rng.normal(0, 1, len(fine)), 3.0), 0.25, 1)
    pixels = path * unit + np.array((0.5, framing.eyes)) * side
    plane = np.zeros((side, side), np.float32)
    strengths = uneven * np.sin(np.pi * np.clip(fine, 0.04, 0.96)) ** 0.6
    for first, second, strength in zip(pixels, pixels[1:], strengths[1:], strict=False):
        one = np.zeros((side, side), np.uint8)
        ends = [(int(x * 16), int(y * 16)) for x, y in (first, second)]
        cv2.line(one, ends[0], ends[1], round(255 * strength), 1, cv2.LINE_AA, 4)
        plane = np.maximum(plane, one.astype(np.float32) / 255)
    core, broad = (cv2.GaussianBlur(plane, (0, 0), max(0.5, times * width)) for times in (0.7, 2.2))
    parts = [share * part / max(1e-6, float(part.max())) for share, part in ((0.75, core), (0.25, broad))]
    return np.asarray(parts[0] + parts[1], np.float32)


@lru_cache(maxsize=32)
def folds(zone: str, side: int, framing: Framing) -> Tensor:
    """(side, side): a zone's folds on the usual face after thirty years, as a logarithm of luma."""
    x, y = (plane.numpy() for plane in framing.units(side))
    x = np.abs(x)
    total = np.zeros((side, side), np.float32)
    for depth, width, curve in _FOLDS[zone][1]:
        at, fine = np.linspace(0, 1, len(curve)), np.linspace(0, 1, 32)
        path = [np.polyval(np.polyfit(at, [p[axis] for p in curve], min(3, len(curve) - 1)), fine) for axis in (0, 1)]
        nearest = np.full((side, side), 99.0, np.float32)
        for px, py, share in zip(*path, fine, strict=True):
            thin = width * np.sin(np.pi * np.clip(share, 0.08, 0.92)) ** 0.5  # it ends softly
            nearest = np.minimum(nearest, ((x - px) ** 2 + (y - py) ** 2) / thin**2)
        total += depth * np.exp(-nearest / 2)
    return torch.from_numpy(total)


@lru_cache(maxsize=32)
def crepe(zone: str, seed: int, side: int, framing: Framing) -> Tensor:
    """(side, side) standard deviation about 1 within the zone: fine lines along arcs, or like rays."""
    rng = np.random.default_rng([seed, 11, sum(map(ord, zone))])
    middle_x, middle_y, reach, rays, _ = _CREPE[zone]
    x, y = framing.units(side)
    mask = zone_masks(x.expand(side, side), y.expand(side, side))[zone].numpy()
    across, down = np.broadcast_arrays(np.abs(x.numpy()) - middle_x if middle_x else x.numpy(), y.numpy() - middle_y)
    radius, angle = np.hypot(across, down), np.arctan2(across, np.abs(down) if reach > 1 else down)
    long, short = (radius, reach * angle) if rays else (reach * angle, radius)
    apart = 97.0 * np.sign(x.numpy()) if middle_x else 0.0  # both sides are not alike
    total = np.zeros((side, side), np.float32)
    for fine, share in ((0.010, 0.6), (0.017, 0.8)):
        # Along a line noise is drawn out to a sixth of an eye distance.
        noise = gaussian_filter(rng.normal(0, 1, (512, 512)).astype(np.float32), (1.0, 5.0), mode="wrap")
        at = [np.asarray(np.broadcast_to(where, total.shape) + 256, np.float32)
              for where in (long / 0.035 + apart, short / fine)]  # fmt: skip
        total += share * cv2.remap(noise / float(noise.std()), *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return torch.from_numpy(np.clip(total, -2.5, 1.2) * mask)


@lru_cache(maxsize=8)
def spots(seed: int, side: int, framing: Framing) -> Tensor:
    """(side, side) 0 to 1: age spots on cheeks, temples and forehead of the usual face."""
    rng = np.random.default_rng([seed, 7])
    unit = framing.distance * side
    plane = np.zeros((side, side), np.float32)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    for number in range(_SPOTS):
        where = rng.choice(3, p=(0.5, 0.25, 0.25))
        sign = 1 if number % 2 else -1
        middle = [(sign * 0.76, 0.42), (sign * 0.92, -0.30), (0.0, -0.75)][where] + rng.normal(0, 1, 2) * (
            [(0.13, 0.26), (0.10, 0.18), (0.45, 0.16)][where]
        )
        radius, turn = rng.uniform(0.010, 0.036) * unit, rng.uniform(0, np.pi)
        cx, cy = np.asarray(middle) * unit + np.array((0.5, framing.eyes)) * side
        dx, dy = x - cx, y - cy
        along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        away = np.sqrt(along**2 + (1.5 * across) ** 2) / radius
        plane = np.maximum(plane, rng.uniform(0.2, 1.0) ** 2 * np.clip(1.7 - away, 0, 1))
    return torch.from_numpy(cv2.GaussianBlur(plane, (0, 0), max(0.5, 0.010 * unit)))
