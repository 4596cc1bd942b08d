"""How the whole picture moves along a shot, whatever moves in it: the camera's path, gate weave included.

Corners spread over the picture are followed from a key frame (Shi and Tomasi 1994; pyramidal Lucas-Kanade, Bouguet
2000), and the similarity most of them agree on is taken (RANSAC, then least squares): people who move are outvoted, and
so is dust. Frames are compared with a key frame as long as it can be followed, so that a still camera's path does not
drift; then the frame before becomes the next key.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]

_LARGEST = 960
"""Longer side at which corners are followed; larger pictures are reduced."""
_CELLS = (4, 5)
_CORNERS_A_CELL = 14
_FEWEST = 10
"""Corners that must agree."""
_AGREE = 0.35
"""The share of corners that must."""
_EDGE = 0.03
"""Share of the picture at each edge in which nothing is followed: frame lines and the gate stand still or jump."""


@dataclass(frozen=True, slots=True)
class _Key:
    picture: npt.NDArray[np.uint8]
    corners: Points
    place: Array
    """Where the key frame itself is: a row of `CameraPath.path`."""


class CameraPath:
    """Feed it a shot's frames in order; it keeps four numbers a frame."""

    def __init__(self) -> None:
        self._rows: list[Array] = []
        self._key: _Key | None = None
        self._previous: npt.NDArray[np.uint8] | None = None
        self._last: Points | None = None
        """Where the key's corners were in the frame before."""
        self.lost = 0
        """Frames whose movement could not be found: they are taken to have moved as the one before them."""

    def path(self) -> Array:
        """(N, 4): how far each frame's centre lies right of and below the first's, pixels; turned clockwise, radians;
        natural log of its scale."""
        return np.stack(self._rows) if self._rows else np.zeros((0, 4))

    def add(self, luma: torch.Tensor) -> None:
        """See the next frame, (H, W) display values."""
        picture, scale = _evened(luma)
        if self._previous is None:
            self._rows.append(np.zeros(4))
            self._start(picture, np.zeros(4))
        else:
            place = self._follow(picture, scale)
            if place is None:  # a new key, and once more
                self._start(self._previous, self._rows[-1])
                place = self._follow(picture, scale)
            if place is None:
                self.lost += 1
                place = self._rows[-1].copy()
                self._start(picture, place)
            self._rows.append(place)
        self._previous = picture

    def _start(self, picture: npt.NDArray[np.uint8], place: Array) -> None:
        self._key = _Key(picture, _corners(picture), place)
        self._last = None

    def _follow(self, picture: npt.NDArray[np.uint8], scale: float) -> Array | None:
        key = self._key
        assert key is not None
        if len(key.corners) < _FEWEST:
            return None
        guess = key.corners.copy() if self._last is None else self._last.copy()
        flags = cv2.OPTFLOW_USE_INITIAL_FLOW
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.003)
        found, status, error = cv2.calcOpticalFlowPyrLK(
            key.picture, picture, key.corners, guess, winSize=(21, 21), maxLevel=3, criteria=stop, flags=flags
        )
        good = (status[:, 0] == 1) & (np.abs(found - key.corners).max(axis=1) < 0.15 * max(picture.shape))
        if good.sum() < max(_FEWEST, _AGREE * len(good)):
            return None
        similarity = _agreed(key.corners[good], found[good], picture.shape)
        if similarity is None:
            return None
        self._last = found
        return key.place + similarity * (1 / scale, 1 / scale, 1, 1)


def _evened(luma: torch.Tensor) -> tuple[npt.NDArray[np.uint8], float]:
    """A picture of its details alone, which flicker and fades leave alike, and its scale."""
    values = np.ascontiguousarray(luma.clamp(0, 1).cpu().numpy(), np.float32)
    scale = min(1.0, _LARGEST / max(values.shape))
    if scale < 1:
        values = cv2.resize(values, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = values.shape
    details = values - cv2.blur(values, (min(31, width), min(31, height)))
    spread = float(np.abs(details).mean()) + 2e-3
    return np.clip(details * (25 / spread) + 128, 0, 255).astype(np.uint8), scale


def _corners(picture: npt.NDArray[np.uint8]) -> Points:
    """(M, 2) corners, some in every cell that has any."""
    height, width = picture.shape
    if min(height, width) < 48:
        return np.zeros((0, 2), np.float32)
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.2)
    top, left = max(4, round(height * _EDGE)), max(4, round(width * _EDGE))
    rows = np.linspace(top, height - top, _CELLS[0] + 1).astype(int)
    columns = np.linspace(left, width - left, _CELLS[1] + 1).astype(int)
    strength = cv2.cornerMinEigenVal(smooth, 5)
    least = 0.02 * float(np.quantile(strength, 0.98))
    apart = max(4.0, max(height, width) / 80)
    found = []
    for r in range(_CELLS[0]):
        for c in range(_CELLS[1]):
            part = slice(rows[r], rows[r + 1]), slice(columns[c], columns[c + 1])
            best = float(strength[part].max())
            if best <= max(least, 1e-9):
                continue
            quality = float(np.clip(least / best, 0.05, 0.99))
            own = cv2.goodFeaturesToTrack(smooth[part], _CORNERS_A_CELL, quality, apart, blockSize=5)
            if own is not None:
                found.append(own[:, 0] + np.array((columns[c], rows[r]), np.float32))
    return np.concatenate(found).astype(np.float32) if found else np.zeros((0, 2), np.float32)


def _agreed(before: Points, after: Points, shape: tuple[int, ...]) -> Array | None:
    """The similarity most corners agree on: how the picture's centre moved (pixels), its turn and log scale."""
    centre = np.array(((shape[1] - 1) / 2, (shape[0] - 1) / 2))
    cv2.setRNGSeed(1)  # the same corners give the same answer
    matrix, agree = cv2.estimateAffinePartial2D(
        before, after, method=cv2.RANSAC, ransacReprojThreshold=1.0, maxIters=500, confidence=0.995, refineIters=0
    )
    if matrix is None or agree.sum() < max(_FEWEST, _AGREE * len(before)):
        return None
    x, y = before.astype(np.float64) - centre, after.astype(np.float64) - centre
    fit = np.array((matrix[0, 0], matrix[1, 0], *(matrix[:, :2] @ centre + matrix[:, 2] - centre)))
    columns = np.zeros((2 * len(x), 4))
    columns[0::2] = np.stack((x[:, 0], -x[:, 1], np.ones(len(x)), np.zeros(len(x))), 1)
    columns[1::2] = np.stack((x[:, 1], x[:, 0], np.zeros(len(x)), np.ones(len(x))), 1)
    for _ in range(5):  # Tukey's weights
        away = np.hypot(*(columns @ fit - y.ravel()).reshape(-1, 2).T)
        reach = max(0.3, 4 * float(np.median(away[away < 1.5])) if (away < 1.5).any() else 0.3)
        weight = np.repeat(np.clip(1 - (away / reach) ** 2, 0, None), 2)
        if (weight > 0).sum() < 2 * _FEWEST:
            break
        fit = np.linalg.lstsq(columns * weight[:, None], y.ravel() * weight, rcond=None)[0]
    a, b, dx, dy = fit
    size = float(np.hypot(a, b))
    if not 0.7 < size < 1.4:
        return None
    return np.array((dx, dy, np.arctan2(b, a), np.log(size)))
