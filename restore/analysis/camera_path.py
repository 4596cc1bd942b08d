"""How the whole picture moves along a shot, whatever moves in it: the camera's path, gate weave included.

Corners spread over the picture are followed from a key frame (Shi and Tomasi 1994; pyramidal Lucas-Kanade, Bouguet
2000), and the similarity most of them agree on is taken (RANSAC, then least squares): people who move are outvoted, and
so is dust. Frames are compared with a key frame as long as it can be followed, so that a still camera's path does not
drift; then the frame before becomes the next key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
_AGREE = 0.25
"""The share of corners that must."""
_FAR = 0.15
"""Share of the longer side that a corner may move before a new key is due."""
_RETURN = 0.7
"""Pixels within which a corner followed there and back again must return."""
_LONGEST = 240
"""Frames followed from one key."""
_TRIES = 300
_EDGE = 0.03
"""Share of the picture at each edge in which nothing is followed: frame lines and the gate stand still or jump."""


@dataclass(slots=True)
class _Key:
    """A key frame, and its corners in the frames after it."""

    picture: npt.NDArray[np.uint8]
    corners: Points
    weights: Array
    """How much each corner has to say: less where they crowd."""
    place: Array
    """Where the key frame itself is: a row of `CameraPath.path`."""
    tracks: list[tuple[Points, npt.NDArray[np.bool_]]] = field(default_factory=list)
    """Corners as found in each frame, and which were found."""
    similarities: list[Array] = field(default_factory=list)


class CameraPath:
    """Feed it a shot's frames in order; it keeps four numbers a frame, and the corners of at most 240 frames."""

    def __init__(self) -> None:
        self._rows: list[Array] = []
        self._key: _Key | None = None
        self._previous: npt.NDArray[np.uint8] | None = None
        self._scale = 1.0
        self.lost = 0
        """Frames whose movement could not be found: they are taken to have moved on like the one before."""

    def path(self) -> Array:
        """(N, 4): how far each frame's centre lies right of and below the first's, pixels; turned clockwise, radians;
        natural log of its scale."""
        self._settle()
        return np.stack(self._rows) if self._rows else np.zeros((0, 4))

    def add(self, luma: torch.Tensor) -> None:
        """See the next frame, (H, W) display values."""
        picture, self._scale = _evened(luma)
        if self._previous is None:
            self._rows.append(np.zeros(4))
            self._start(picture)
        elif not self._follow(picture):
            self._settle()
            self._start(self._previous)  # a new key, and once more
            if not self._follow(picture):
                self.lost += 1
                self._rows.append(2 * self._rows[-1] - self._rows[-2] if len(self._rows) > 1 else self._rows[-1])
                self._start(picture)
        self._previous = picture

    def _start(self, picture: npt.NDArray[np.uint8]) -> None:
        corners, weights = _corners(picture)
        self._key = _Key(picture, corners, weights, self._rows[-1])

    def _follow(self, picture: npt.NDArray[np.uint8]) -> bool:
        """Find the key's corners again, and where most of them went; False if a new key is due."""
        key = self._key
        if key is None or len(key.corners) < _FEWEST or len(key.tracks) >= _LONGEST:
            return False
        guess = key.tracks[-1][0] if key.tracks else key.corners
        found, seen = _followed(key.picture, picture, key.corners, guess)
        back, seen_back = _followed(picture, key.picture, found, key.corners)
        returned = np.abs(back - key.corners).max(axis=1) < _RETURN  # Kalal, Mikolajczyk, Matas 2010
        near = np.abs(found - key.corners).max(axis=1) < _FAR * max(picture.shape)
        good = seen & seen_back & returned & near
        similarity = _agreed(key.corners, found, good, key.weights, picture.shape)
        if similarity is None:
            return False
        key.tracks.append((found, good))
        key.similarities.append(similarity)
        self._rows.append(self._placed(key, similarity))
        return True

    def _placed(self, key: _Key, similarity: Array) -> Array:
        return np.asarray(key.place + similarity * (1 / self._scale, 1 / self._scale, 1, 1))

    def _settle(self) -> None:
        """Once more over the frames of a key, believing corners as far as they went with most in all of them: where a
        person stood still for a while, or filled the picture for a moment, the wall behind has the say."""
        key = self._key
        if key is None or len(key.tracks) < 3:
            return
        shape = key.picture.shape
        agreed, seen = np.zeros(len(key.corners)), np.zeros(len(key.corners))
        for (found, good), similarity in zip(key.tracks, key.similarities, strict=True):
            agreed += good & (_away(key.corners, found, similarity, shape) < 1)
            seen += good
        weights = key.weights * (agreed / np.maximum(seen, 1)) ** 3
        first = len(self._rows) - len(key.tracks)
        for number, (found, good) in enumerate(key.tracks):
            better = _agreed(key.corners, found, good, weights, shape)
            if better is not None:
                self._rows[first + number] = self._placed(key, better)
        key.tracks, key.similarities = [], []
        self._key = None


def _evened(luma: torch.Tensor) -> tuple[npt.NDArray[np.uint8], float]:
    """A picture of its details alone, which flicker and fades leave alike, and its scale."""
    values = np.ascontiguousarray(luma.clamp(0, 1).cpu().numpy(), np.float32)
    scale = min(1.0, _LARGEST / max(values.shape))
    if scale < 1:
        values = cv2.resize(values, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = values.shape
    details = values - cv2.blur(values, (min(31, width), min(31, height)))
    spread = cv2.norm(details, cv2.NORM_L1) / details.size + 2e-3
    return np.clip(details * np.float32(25 / spread) + np.float32(128), 0, 255).astype(np.uint8), scale


def _corners(picture: npt.NDArray[np.uint8]) -> tuple[Points, Array]:
    """(M, 2) corners, some in every cell that has any, and (M,) their weights."""
    height, width = picture.shape
    if min(height, width) < 48:
        return np.zeros((0, 2), np.float32), np.zeros(0)
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.2)
    top, left = max(4, round(height * _EDGE)), max(4, round(width * _EDGE))
    rows = np.linspace(top, height - top, _CELLS[0] + 1).astype(int)
    columns = np.linspace(left, width - left, _CELLS[1] + 1).astype(int)
    strength = cv2.cornerMinEigenVal(smooth, 5)
    least = 0.02 * float(np.quantile(strength, 0.98))
    apart = max(4.0, max(height, width) / 80)
    found, weights = [np.zeros((0, 2), np.float32)], [np.zeros(0)]
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
                weights.append(np.full(len(own), len(own) ** -0.5))
    return np.concatenate(found).astype(np.float32), np.concatenate(weights)


def _followed(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], corners: Points, guess: Points
) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Where corners of one picture are in another, and which were found."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.003)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        first, second, corners, guess.copy(), winSize=(21, 21), maxLevel=3, criteria=stop,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    return found, status[:, 0] == 1


def _complex(points: Points, shape: tuple[int, ...]) -> npt.NDArray[np.complex128]:
    """Points as complex numbers about the picture's centre."""
    return np.asarray(points[:, 0] - (shape[1] - 1) / 2 + 1j * (points[:, 1] - (shape[0] - 1) / 2), np.complex128)


def _away(before: Points, after: Points, similarity: Array, shape: tuple[int, ...]) -> Array:
    """How far each corner is from where a similarity puts it, pixels."""
    dx, dy, angle, log_scale = similarity
    return np.asarray(
        np.abs(_complex(after, shape) - _complex(before, shape) * np.exp(log_scale + 1j * angle) - dx - 1j * dy)
    )


def _agreed(
    before: Points, after: Points, good: npt.NDArray[np.bool_], weights: Array, shape: tuple[int, ...]
) -> Array | None:
    """The similarity most corners agree on: how the picture's centre moved (pixels), its turn and log scale.

    RANSAC over pairs of corners, then Tukey's biweight. Complex numbers: z' = a z + b.
    """
    if good.sum() < max(_FEWEST, _AGREE * len(good)) or not weights[good].any():
        return None
    z, w, weight = _complex(before[good], shape), _complex(after[good], shape), weights[good]
    random = np.random.default_rng(len(z))  # the same corners give the same answer
    first, second = random.choice(len(z), (2, _TRIES), p=weight / weight.sum())
    apart = np.abs(z[first] - z[second]) > 0.15 * max(shape)
    if not apart.any():
        return None
    first, second = first[apart], second[apart]
    a = (w[first] - w[second]) / (z[first] - z[second])
    b = w[first] - a * z[first]
    sane = np.abs(np.log(np.abs(a) + 1e-9)) < 0.3
    if not sane.any():
        return None
    a, b = a[sane], b[sane]
    misses = np.abs((a[:, None] * z + b[:, None] - w).astype(np.complex64))
    best = int((np.clip(1 - (misses / 1.5) ** 2, 0, None) @ weight).argmax())
    turn, shift = complex(a[best]), complex(b[best])
    if float(weight[misses[best] < 1.5].sum()) < _AGREE * float(weight.sum()):
        return None
    for _ in range(6):
        away = np.abs(turn * z + shift - w)
        near = away < 1.5
        reach = max(0.3, 4 * float(np.median(away[near])) if near.any() else 0.3)
        trust = weight * np.clip(1 - (away / reach) ** 2, 0, None) ** 2
        total = trust.sum()
        if (trust > 0).sum() < _FEWEST or total <= 0:
            break
        mean_z, mean_w = (trust * z).sum() / total, (trust * w).sum() / total
        spread = (trust * np.abs(z - mean_z) ** 2).sum()
        turn = complex((trust * (w - mean_w) * np.conj(z - mean_z)).sum() / max(float(spread), 1e-9))
        shift = complex(mean_w - turn * mean_z)
    if abs(np.log(abs(turn) + 1e-9)) > 0.3:
        return None
    return np.array((shift.real, shift.imag, np.angle(turn), np.log(abs(turn))))
