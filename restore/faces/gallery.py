"""Pictures of a shot that are kept until its faces are known: what tells people apart is seen in the best of them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from restore.faces.detect import Picture
from restore.faces.identify import Embedder
from restore.faces.track import Track
from restore.frames import VideoFormat

Array = npt.NDArray[np.float64]

_MOST = 16
"""Pictures kept of a shot: memory does not grow with it."""
_LARGEST = 1280
"""Longer side of a picture that is kept; larger ones are reduced."""
_EMBEDDED = 3
"""Pictures in which each face is looked at."""


class Gallery:
    """Ask before every frame of a shot whether it is wanted, and hand in those that are.

    Args:
        start: number of the shot's first frame.
    """

    def __init__(self, start: int = 0) -> None:
        self._start, self._step = start, 1
        self._kept: dict[int, tuple[Picture, float, float]] = {}

    def wants(self, frame: int) -> bool:
        """Whether a frame would be kept: evenly spread, fewer the longer the shot lasts."""
        return (frame - self._start) % self._step == 0

    def add(self, frame: int, picture: Picture, format: VideoFormat) -> None:
        """Keep a frame's (H, W, 3) picture in square pixels; tracks are measured in those of `format`."""
        scale = min(1.0, _LARGEST / max(picture.shape[:2]))
        if scale < 1:
            picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        self._kept[frame] = (picture, picture.shape[1] / format.width, picture.shape[0] / format.height)
        if len(self._kept) > _MOST:
            self._step *= 2
            self._kept = {number: kept for number, kept in self._kept.items() if self.wants(number)}

    def vectors(self, tracks: Sequence[Track], embedder: Embedder) -> list[Array | None]:
        """The direction of each track's face, (D,) of unit length; None for a track that no kept picture shows."""
        return [self._vector(track, embedder) for track in tracks]

    def _vector(self, track: Track, embedder: Embedder) -> Array | None:
        seen = [frame for frame in self._kept if track.start <= frame < track.stop]
        best = sorted(seen, key=lambda frame: -float(track.quality[frame - track.start]))[:_EMBEDDED]
        if not best:
            return None
        found = []
        for frame in best:
            picture, across, down = self._kept[frame]
            found.append(embedder.embed(picture, track.points[frame - track.start] * (across, down)))
        mean = np.sum(found, axis=0)
        return np.asarray(mean / max(1e-12, float(np.linalg.norm(mean))))
