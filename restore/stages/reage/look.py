"""How a face usually looks in a shot: what aligns it exactly, and what tells a hand before it from the face itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from restore.faces.detect import Picture
from restore.stages.reage.alignment import FRAMING, Array, applied, cropped, matrix_of, similarities
from restore.stages.reage.prototypes import TONE
from restore.stages.reage.zones import FACE, oval

Floats = npt.NDArray[np.float32]

_MOST = 48
"""Pictures of a shot that are kept."""
_ALIGNED_SIDE = 128
SIDE = 48
_FEWEST = 6
"""Pictures of a face from which how it usually looks can be told."""
_WAYS = 6
"""In which a face's look may change: turning, talking, blinking, light."""
LOOK_SIDE = 4 * SIDE
"""Of the crops that `usual_look` is to be given."""
_TOLERANCE = 0.25
"""Of its pixels by which a face may lie beside where it is expected."""
_FLOOR = 0.016
"""Least spread of the logarithms of colours."""


class Album:
    """A few of a shot's pictures, evenly spread; memory does not grow with the shot."""

    def __init__(self) -> None:
        self._every, self._seen = 1, 0
        self._kept: list[tuple[int, Picture]] = []

    def add(self, picture: Picture) -> None:
        """See the shot's next picture."""
        if self._seen % self._every == 0:
            self._kept.append((self._seen, picture))
            if len(self._kept) > _MOST:
                self._every *= 2
                self._kept = [pair for pair in self._kept if pair[0] % self._every == 0]
        self._seen += 1

    def between(self, start: int, stop: int) -> list[tuple[int, Picture]]:
        """Those of frames [start, stop) of the shot, with their numbers."""
        return [pair for pair in self._kept if start <= pair[0] < stop]


def thumbs(pictures: Sequence[tuple[int, Picture]], points: Array, first: int, side: int) -> Floats:
    """(n, 3, side, side) RGB in [0, 1]: a face upright in each picture; (N, 5, 2) points in the pictures' pixels."""
    crops = []
    for number, picture in pictures:
        matrix = matrix_of(similarities(points[number - first][None])[0], side)
        whole = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
        crops.append(cropped(whole, matrix, side).numpy())
    return np.asarray(np.stack(crops), np.float32)


def flattened(grey: Floats) -> Floats:
    """(S, S), 8-bit values, without broad differences of light and contrast: 128 and about 48 either way."""
    reach = grey.shape[0] / 8
    away = grey - cv2.GaussianBlur(grey, (0, 0), reach)
    spread = np.sqrt(cv2.GaussianBlur(away**2, (0, 0), reach)) + 4
    return np.asarray(128 + 48 * away / spread, np.float32)


def exact_points(crops: Floats, points: Array, mean: Floats) -> Array:
    """(N, 5, 2): the points where the face as a whole lies on the mean face, instead of where a detector put them.

    G. D. Evangelidis, E. Z. Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient
    Maximization", PAMI 2008. What is corrected is the same for all frames: paths stay as smooth as they were. Where
    the face is not like the mean one, the points come back as they are.
    """
    look = np.median(crops, axis=0)
    grey = flattened(np.asarray(255 * (0.2126 * look[0] + 0.7152 * look[1] + 0.0722 * look[2]), np.float32))
    side = grey.shape[0]
    x, y = FRAMING.units(side)
    mask = (oval(FACE._replace(tall=1.2, y=0.35), x, y, 0.1) > 0.5).numpy().astype(np.uint8)
    warp = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
    try:
        likeness, warp = cv2.findTransformECC(mean, grey, warp, cv2.MOTION_AFFINE, criteria, mask, 5)
    except cv2.error:
        return points
    turn = np.asarray(warp[:, :2], float)
    size = np.linalg.svd(turn)[1]
    if likeness < 0.45 or size.max() > 1.3 or size.min() < 0.75 or np.abs(turn - turn.T)[0, 1] > 0.3:
        return points
    usual = FRAMING.points(side)
    there = applied(np.asarray(warp, float), usual)
    if np.abs(there - usual).max() > 0.45 * FRAMING.distance * side:
        return points
    found = []
    for similarity in similarities(points):
        found.append(applied(matrix_of(similarity, side), there))
    return np.stack(found)


class Look(NamedTuple):
    """The usual look of a face, `SIDE` pixels: logarithms of colours."""

    mean: Floats
    """(3, SIDE, SIDE)."""
    ways: Floats
    """(k, 3, SIDE, SIDE) orthonormal: how it changes."""
    spread: Floats
    """(3, SIDE, SIDE): of what is neither."""


def usual_look(crops: Floats) -> Look | None:
    """Of (n, 3, S, S) crops; None of too few. What covers a face now and then is not taken for it.

    A low-rank matrix fitted to all but the outliers, which are filled in: F. De la Torre, M. J. Black, "A Framework for
    Robust Subspace Learning", IJCV 2003.
    """
    if len(crops) < _FEWEST:
        return None
    logs = evened(small_logs(torch.from_numpy(crops)), None).reshape(len(crops), -1)
    mean = np.median(logs, axis=0)
    away = logs - mean
    spread = 1.4826 * np.median(np.abs(away), axis=0) + _FLOOR
    count = min(_WAYS, len(crops) // 4)
    low = np.zeros_like(away)
    ways = np.zeros((0, away.shape[1]), np.float32)
    for _ in range(6):
        if not count:
            break
        trust = 1 / (1 + ((away - low) / (2.5 * spread)) ** 2) ** 2
        filled = trust * away + (1 - trust) * low
        _, _, ways = np.linalg.svd(filled, full_matrices=False)
        ways = ways[:count]
        low = (filled @ ways.T) @ ways
        spread = 1.4826 * np.median(np.abs(away - low), axis=0) + _FLOOR
    shape = (3, SIDE, SIDE)
    spread = spread.reshape(shape) + _TOLERANCE * _slope(mean.reshape(shape))
    return Look(*(np.asarray(v.reshape(-1, *shape) if v.ndim == 2 else v.reshape(shape), np.float32)
                  for v in (mean, ways, spread)))  # fmt: skip


def _slope(logs: Floats) -> Floats:
    """(3, SIDE, SIDE): difference between neighbours, in the steepest direction."""
    down, across = np.gradient(logs, axis=(1, 2))
    return np.asarray(cv2.blur(np.hypot(down, across).transpose(1, 2, 0), (3, 3)).transpose(2, 0, 1), np.float32)


def small_logs(crops: Tensor) -> Floats:
    """(n, 3, SIDE, SIDE) logarithms of (n, 3, S, S) crops."""
    small = F.adaptive_avg_pool2d(crops, SIDE)
    return np.asarray((small.clamp(min=0) + TONE).log().cpu().numpy(), np.float32)


def evened(logs: Floats, mean: Floats | None) -> Floats:
    """(n, 3, S, S) logarithms with the whole picture's light and tint taken off, by the middle of the face."""
    edge = SIDE // 3
    face = logs[..., edge : 2 * edge + 4, edge:-edge]
    if mean is None:
        return np.asarray(logs - np.median(face, axis=(-2, -1), keepdims=True), np.float32)
    away = face - mean[..., edge : 2 * edge + 4, edge:-edge]
    return np.asarray(logs - np.median(away, axis=(-2, -1), keepdims=True), np.float32)


def covered(crop: Tensor, look: Look) -> Floats:
    """(SIDE, SIDE) 0 to 1: how surely each place of a (3, S, S) crop shows something other than the face."""
    away = (evened(small_logs(crop[None]), look.mean)[0] - look.mean).reshape(-1)
    ways, spread = look.ways.reshape(len(look.ways), -1), look.spread.reshape(-1)
    inside = np.broadcast_to(_face_place(), (3, SIDE, SIDE)).reshape(-1)
    low = np.zeros_like(away)
    for _ in range(5):
        trust = inside / (1 + ((away - low) / (2.0 * spread)) ** 2) ** 2
        if not len(ways):
            break
        weighted = ways * trust
        low = ways.T @ np.linalg.solve(weighted @ ways.T + 0.02 * np.eye(len(ways)), weighted @ away)
    left = np.abs(away - low).reshape(3, SIDE, SIDE) / look.spread
    total = np.sqrt(cv2.GaussianBlur((left**2).mean(0), (0, 0), 1.2))
    sure = np.clip((total - 2.6) / 1.5, 0, 1).astype(np.float32)
    grown = cv2.dilate(sure, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), 0.8), np.float32)


def _face_place() -> Floats:
    x, y = FRAMING.units(SIDE)
    return np.asarray(oval(FACE, x, y, 0.3).numpy() + 0.02, np.float32)
