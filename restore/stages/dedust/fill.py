"""Filling what dirt hides: from the moved neighbours where they fit, else from the picture around.

After Kokaram, "On missing data treatment for degraded video and film archives", IEEE Trans. Image Processing 2004: the
motion under dirt is taken from its surroundings, since dirt itself misleads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from restore.analysis.flow import Field, Picture, Plane
from restore.stages.dedust.detect import Mask
from restore.stages.dedust.judge import Box, boxes

_MARGIN = 5
"""Pixels around a patch that tell how well a neighbour fits."""
_FITS = 0.5
"""A neighbour fits if it misses the surroundings by less than this share of their own variation,"""
_FINE = 0.02
"""or by less than this."""
_VISIBLE = 3 / 255
"""A repair that changes a pixel by less is none."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A frame beside the one that is repaired."""

    picture: Picture
    """(H, W, C)."""
    field: Field
    """Flow to it, of reduced pictures."""


def under(mask: Mask, field: Field) -> Mask:
    """Which flow (reduced pictures) a mask (full size) hides, and some around it."""
    height, width = field.shape[:2]
    hidden = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0
    return np.asarray(cv2.dilate(hidden.view(np.uint8), np.ones((5, 5), np.uint8)) > 0, bool)


def motion_under(field: Field, hidden: Mask, box: Box | None = None) -> Field:
    """The flow in a box (of reduced pictures; all of it by default), the hidden part taken from around it."""
    inner = box or (slice(0, field.shape[0]), slice(0, field.shape[1]))
    result, left = field[inner].copy(), hidden[inner].copy()
    for sigma in (3.0, 12.0):
        if not left.any():
            break
        outer, place = _grown(inner, int(4 * sigma), hidden.shape)
        seen = (~hidden[outer]).astype(np.float32)
        weight = cv2.GaussianBlur(seen, (0, 0), sigma)[place]
        smooth = cv2.GaussianBlur(field[outer] * seen[..., None], (0, 0), sigma)[place]
        where = left & (weight > 0.02)
        result[where] = smooth[where] / weight[where][:, None]
        left &= ~where
    return result


def _grown(box: Box, reach: int, shape: tuple[int, ...]) -> tuple[Box, Box]:
    """A box that reaches further within a picture, and where the first lies in it."""
    starts = [max(0, side.start - reach) for side in box]
    outer = tuple(slice(s, min(size, side.stop + reach)) for s, side, size in zip(starts, box, shape, strict=False))
    place = tuple(slice(side.start - s, side.stop - s) for s, side in zip(starts, box, strict=True))
    return (outer[0], outer[1]), (place[0], place[1])


def _reduced(box: Box, shape: tuple[int, ...], field: Field) -> Box:
    """The part of a field that tells the motion of a box of the picture of this shape."""
    ends = []
    for side, full, small in zip(box, shape, field.shape, strict=False):
        first, last = ((place + 0.5) * small / full - 0.5 for place in (side.start, side.stop - 1))
        ends.append(slice(max(0, int(np.floor(first))), min(small, int(np.floor(last)) + 2)))
    return ends[0], ends[1]


def _fetched(neighbour: Neighbour, hidden: Mask, box: Box, shape: tuple[int, ...]) -> Picture:
    """The part of a neighbour that belongs into a box."""
    height, width = shape[:2]
    sy, sx = height / neighbour.field.shape[0], width / neighbour.field.shape[1]
    inner = _reduced(box, shape, neighbour.field)
    field = motion_under(neighbour.field, hidden, inner)
    y, x = np.mgrid[box].astype(np.float32)
    at_x, at_y = (x + 0.5) / sx - 0.5 - inner[1].start, (y + 0.5) / sy - 0.5 - inner[0].start
    motion = cv2.remap(field, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return fetched(neighbour.picture, x + motion[..., 0] * np.float32(sx), y + motion[..., 1] * np.float32(sy))


def fetched(picture: Picture, x: Plane, y: Plane) -> Picture:
    """What of a picture (H, W, C) lies at these places, (h, w, C), bicubic; channel by channel, which is quicker where
    each lies by itself in memory."""
    planes = [
        cv2.remap(picture[..., c], x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for c in range(picture.shape[2])
    ]
    return np.asarray(np.stack(planes, axis=-1), np.float32)


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
    result, changed = np.copy(here, order="K"), np.zeros(mask.shape, bool)
    if not mask.any():
        return result, changed
    hidden = [under(mask, neighbour.field) for neighbour in neighbours]
    random = np.random.default_rng(abs(seed))
    joined = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    _, labels = cv2.connectedComponents(joined, connectivity=8)
    for label, found in boxes(np.asarray(labels, np.int32)).items():
        box, _ = _grown(found, _MARGIN, mask.shape)
        hole = labels[box] == label  # a rim of two pixels more than the mask
        known = labels[box] == 0
        part = np.ascontiguousarray(here[box])
        offers = [_fetched(n, h, box, mask.shape) for n, h in zip(neighbours, hidden, strict=True)]
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
