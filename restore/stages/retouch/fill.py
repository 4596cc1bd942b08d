"""Filling damage from the picture itself, so that no smear shows.

The hole is first closed from its rim (A. Telea, "An image inpainting technique based on the fast marching method",
2004). Then tiles along it take their detail from the place near by that looks most like what is known of them and, a
little, like that first guess (after Criminisi, Perez, Toyama, "Region filling and object removal by exemplar-based
image inpainting", 2004); where tiles overlap they are averaged, and grain that this costs is put back.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from restore.analysis.flow import Picture, Plane
from restore.stages.retouch.detect import Mask

_TILE = 11
_REACH = 24
"""How far around a tile its like is sought."""
_GUESS = 0.2
"""What the first guess counts for in that, beside the known pixels."""
_ALIKE = 0.06
"""Root mean square difference above which a place is not like the tile, and the guess stays."""


def fill(picture: Picture, hole: Mask, seed: int) -> Picture:
    """Repair (H, W, C), nominally [0, 1], where `hole` says; the rest is returned as it is."""
    if not hole.any() or hole.all():
        return picture
    guess = closed(picture, hole)
    total, weight = np.zeros_like(guess), np.zeros(hole.shape, np.float32)
    window = _window()
    blocked = cv2.dilate(hole.astype(np.uint8), np.ones((_TILE, _TILE), np.uint8)).astype(bool)
    for top, left in _tiles(hole):
        box = (slice(top, top + _TILE), slice(left, left + _TILE))
        found = _alike(guess, hole, blocked, top, left)
        tile = guess[box] if found is None else found
        sure = window if found is not None else window * np.float32(0.5)
        total[box] += tile * sure[..., None]
        weight[box] += sure
    filled = np.where((weight > 0)[..., None], total / np.maximum(weight, 1e-6)[..., None], guess)
    filled += _missing_grain(picture, filled, hole, seed)[..., None]
    return np.asarray(np.where(hole[..., None], filled, picture), np.float32)


def closed(picture: Picture, hole: Mask) -> Picture:
    """The hole drawn in from its rim, smoothly."""
    mask = hole.astype(np.uint8)
    # In 16 bits: on float samples OpenCV's Telea now and then runs away (seen with 4.14).
    deep = (np.clip(picture, 0, 1) * 65535 + 0.5).astype(np.uint16)
    planes = [
        cv2.inpaint(np.ascontiguousarray(deep[..., c]), mask, 4, cv2.INPAINT_TELEA) for c in range(picture.shape[2])
    ]
    drawn = np.stack(planes, -1).astype(np.float32) / np.float32(65535)
    return np.where(hole[..., None], drawn, picture)


def _window() -> Plane:
    away = np.arange(_TILE) - _TILE // 2
    bell = np.exp(-(away**2) / (2 * (_TILE / 4) ** 2))
    return np.asarray(np.outer(bell, bell), np.float32)


def _tiles(hole: Mask) -> Iterator[tuple[int, int]]:
    """Top left corners of tiles that cover the hole, overlapping by half, inside the picture."""
    height, width = hole.shape
    if height < _TILE or width < _TILE:
        return
    step = _TILE // 2
    rows, columns = np.nonzero(hole)
    cells = np.unique(rows // step * (width // step + 1) + columns // step)
    for cell in cells:
        row, column = divmod(int(cell), width // step + 1)
        top = min(max(0, row * step + step // 2 - _TILE // 2), height - _TILE)
        left = min(max(0, column * step + step // 2 - _TILE // 2), width - _TILE)
        yield top, left


def _alike(guess: Picture, hole: Mask, blocked: Mask, top: int, left: int) -> Picture | None:
    """The undamaged tile near by that fits best, as bright as the known part of this one; None where none fits."""
    height, width = hole.shape
    y0, x0 = max(0, top - _REACH), max(0, left - _REACH)
    y1, x1 = min(height, top + _REACH + _TILE), min(width, left + _REACH + _TILE)
    around = guess[y0:y1, x0:x1]
    tile = guess[top : top + _TILE, left : left + _TILE]
    own = hole[top : top + _TILE, left : left + _TILE]
    trust = np.where(own, np.float32(_GUESS), np.float32(1))
    cost = cv2.matchTemplate(around, tile, cv2.TM_SQDIFF, mask=np.repeat(trust[..., None], tile.shape[2], 2))
    half = _TILE // 2
    free = ~blocked[y0 + half : y0 + half + cost.shape[0], x0 + half : x0 + half + cost.shape[1]]
    cost = np.where(free, cost, np.inf)
    place = int(cost.argmin())
    best = float(cost.flat[place]) / float((trust**2).sum() * tile.shape[2])
    if not np.isfinite(best) or best > _ALIKE**2:
        return None
    dy, dx = divmod(place, cost.shape[1])
    found = around[dy : dy + _TILE, dx : dx + _TILE]
    known = ~own
    level = (tile - found)[known].mean(0) if known.sum() > 8 else np.zeros(tile.shape[2], np.float32)
    return np.asarray(found + np.clip(level, -0.08, 0.08), np.float32)


def _laplacian(plane: Plane) -> Plane:
    """Fine detail; of white noise, its own deviation."""
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32) / np.float32(np.sqrt(20))
    return np.asarray(cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT), np.float32)


def _missing_grain(before: Picture, after: Picture, hole: Mask, seed: int) -> Plane:
    """(H, W): noise in the hole that brings its grain up to that of the picture around it."""
    known = ~cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    fine = [np.abs(_laplacian(np.ascontiguousarray(p.mean(-1), np.float32))) for p in (before, after)]
    near = cv2.dilate(hole.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool) & known
    if near.sum() < 32:
        return np.zeros(hole.shape, np.float32)
    wanted, there = (1.4826 * float(np.median(plane[where])) for plane, where in zip(fine, (near, hole), strict=True))
    missing = np.sqrt(max(0.0, wanted**2 - there**2))
    random = np.random.default_rng(abs(seed))
    return np.asarray(random.normal(0, missing, hole.shape) * hole, np.float32)
