"""Filling what dirt hides: from the moved neighbours where they fit, else from the picture around.

After Kokaram, "On missing data treatment for degraded video and film archives", IEEE Trans. Image Processing 2004: the
motion under dirt is taken from its surroundings, since dirt itself misleads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from restore.analysis.flow import Field, Picture
from restore.stages.dedust.detect import Mask

_MARGIN = 5
"""Pixels around a patch that tell how well a neighbour fits."""
_FITS = 0.5
"""A neighbour fits if it misses the surroundings by less than this share of their own variation,"""
_FINE = 0.02
"""or by less than this."""
_VISIBLE = 3 / 255
"""A repair that changes a pixel by less is none."""

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A frame beside the one that is repaired."""

    picture: Picture
    """(H, W, C)."""
    field: Field
    """Flow to it, of reduced pictures."""


def motion_under(field: Field, mask: Mask) -> Field:
    """The flow (reduced pictures) with that under the mask (full size) taken from around it."""
    height, width = field.shape[:2]
    hidden = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0
    hidden = cv2.dilate(hidden.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    seen = (~hidden).astype(np.float32)
    result = field.copy()
    for sigma in (3.0, 12.0):
        weight = cv2.GaussianBlur(seen, (0, 0), sigma)
        smooth = cv2.GaussianBlur(field * seen[..., None], (0, 0), sigma) / np.maximum(weight, 1e-6)[..., None]
        where = hidden & (weight > 0.02)
        result[where] = smooth[where]
        hidden = hidden & ~where
        if not hidden.any():
            break
    return result


def _fetched(neighbour: Neighbour, field: Field, box: Box, shape: tuple[int, ...]) -> Picture:
    """The part of a neighbour that belongs into a box."""
    height, width = shape[:2]
    sy, sx = height / field.shape[0], width / field.shape[1]
    y, x = np.mgrid[box].astype(np.float32)
    at_x, at_y = (x + 0.5) / sx - 0.5, (y + 0.5) / sy - 0.5
    motion = cv2.remap(field, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved_x, moved_y = x + motion[..., 0] * np.float32(sx), y + motion[..., 1] * np.float32(sy)
    found = cv2.remap(neighbour.picture, moved_x, moved_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(*y.shape, -1), np.float32)


def _spatial(part: Picture, hole: Mask, random: np.random.Generator, noise: float) -> Picture:
    """The hole filled from its rim, with grain of the given deviation.

    M. Bertalmio, A. L. Bertozzi, G. Sapiro, "Navier-Stokes, fluid dynamics, and image and video inpainting", CVPR 2001.
    OpenCV's other method, Telea's, runs away on float samples (4.14), and comes no closer where it does not.
    """
    mask = hole.astype(np.uint8)
    planes = [cv2.inpaint(np.ascontiguousarray(part[..., c]), mask, 4, cv2.INPAINT_NS) for c in range(part.shape[2])]
    grain = random.normal(0, noise, hole.shape).astype(np.float32)
    return np.asarray(np.stack(planes, axis=-1) + (grain * hole)[..., None], np.float32)


def grain_of(part: Picture, known: Mask) -> float:
    """Standard deviation of the grain around a hole, from differences between rows and columns (luma-like mean)."""
    grey = part.mean(-1)
    fine = (grey[1:-1, 1:-1] * 4 - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]) / np.sqrt(20)
    whole = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)[1:-1, 1:-1]
    return float(1.4826 * np.median(np.abs(fine[whole]))) if whole.sum() > 8 else 0.0


def fill(
    here: Picture, mask: Mask, neighbours: list[Neighbour], seed: int, whole: Mask | None = None
) -> tuple[Picture, Mask]:
    """Repair the masked patches of a frame.

    Args:
        here: (H, W, C), nominally [0, 1].
        mask: what dirt lies on.
        neighbours: frames to take the picture from; may be empty.
        seed: of the grain that is added where nothing but the picture around could help.
        whole: what a person marked: changed even where it makes no visible difference.

    Returns:
        The repaired frame, and the pixels that were changed: dirt's soft rim is included, and what looks no different
        from its repair is left out.
    """
    result, changed = here.copy(), np.zeros(mask.shape, bool)
    if not mask.any():
        return result, changed
    fields = [motion_under(neighbour.field, mask) for neighbour in neighbours]
    random = np.random.default_rng(abs(seed))
    joined = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    for label, (x, y, w, h, _) in enumerate(stats[1:], 1):
        box = (
            slice(max(0, int(y) - _MARGIN), min(mask.shape[0], int(y + h) + _MARGIN)),
            slice(max(0, int(x) - _MARGIN), min(mask.shape[1], int(x + w) + _MARGIN)),
        )
        hole = labels[box] == label  # a rim of two pixels more than the mask
        known = labels[box] == 0
        part = here[box]
        offers = [_fetched(n, f, box, mask.shape) for n, f in zip(neighbours, fields, strict=True)]
        filled, noise = _best(part, hole, known, offers, random)
        repaired = _worth_changing(filled - part, mask[box] & hole, hole, noise)
        if whole is not None:
            repaired |= whole[box] & hole
        result[box][repaired] = filled[repaired]
        changed[box] |= repaired
    return result, changed


def _worth_changing(difference: Picture, core: Mask, hole: Mask, noise: float) -> Mask:
    """The pixels of a patch that its repair visibly changes, and of its rim those that go the same way."""
    grey = np.ascontiguousarray(difference.mean(-1))
    sign = np.sign(grey[core].sum()) if core.any() else 1.0
    rim = hole & ~core & (sign * cv2.blur(grey, (3, 3)) > max(_VISIBLE * 1.5, 3 * noise))
    return np.asarray((core & (np.abs(difference).max(-1) >= _VISIBLE)) | rim, bool)


def _best(
    part: Picture, hole: Mask, known: Mask, offers: list[Picture], random: np.random.Generator
) -> tuple[Picture, float]:
    """What to put into the hole, and the deviation of the grain around it."""
    noise = grain_of(part, known)
    if not known.any():
        return (offers[0] if offers else part), noise
    texture = float(part[known].std(0).mean())
    fitting: list[tuple[float, Picture]] = []
    for offer in offers:
        level = np.median((part - offer)[known], axis=0)  # flicker
        evened = offer + level
        missed = float(np.abs(part - evened)[known].mean())
        if missed < max(_FINE + 1.5 * noise, _FITS * texture):
            fitting.append((missed, evened))
    if not fitting:
        return _spatial(part, hole, random, noise), noise
    fitting.sort(key=lambda pair: pair[0])
    if len(fitting) == 1:
        return fitting[0][1], noise
    best, other = fitting[0][1], fitting[1][1]
    apart = np.abs(best - other).max(-1)
    if float(apart[hole].mean()) > 3 * (_FINE + noise) + fitting[1][0]:
        around = _spatial(part, hole, random, 0.0)
        return np.asarray(np.median(np.stack((best, other, around)), axis=0), np.float32), noise
    # The coarse picture of both, the grain of one: a mean of the two would show as a smooth spot.
    return np.asarray(best + cv2.GaussianBlur(other - best, (0, 0), 1.5).reshape(best.shape) / 2, np.float32), noise
