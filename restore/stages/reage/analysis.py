"""Finding every face of a shot, where it is in each frame, and how well it is seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from restore.faces.detect import Detector, choose_detector, watched_picture, watched_size
from restore.faces.gallery import Gallery
from restore.faces.identify import Embedder, choose_embedder
from restore.faces.quality import SMALL
from restore.faces.track import ShotTracker, Track
from restore.faces.wanted import Wanted
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer, Device
from restore.pipeline.index import FrameIndex
from restore.stages.reage.options import ReageOptions

Array = npt.NDArray[np.float64]

COLUMNS = 14
"""Of a face's path: weight, frontalness, sharpness, confidence, x and y of the five points."""
_FADE = 6.0
"""Frames (a Gaussian's sigma) over which the strength fades."""


class FaceAnalyzer(Analyzer):
    """Follows every face of every shot; who is meant is settled over the whole film."""

    sees = "source"

    def __init__(self, options: ReageOptions) -> None:
        self._options = options
        self._detector: Detector | None = None
        self._embedder: Embedder | None = None

    def film(self, index: FrameIndex) -> None:
        """Note when the film begins: keyframes count from there; and which frame the person points at."""
        self._zero = int(index.pts[0])
        place = Wanted.parse(None, self._options.at).place
        self._asked = None if place is None else index.find(place.time)

    def open(self, device: Device) -> None:
        """Load what finds faces, and what tells them apart, if it is here."""
        self._detector, self._embedder = choose_detector(self._options.detector), choose_embedder()

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Follow anew."""
        assert self._detector is not None
        self._format, self._pts, self._start = format, list[int](), shot.start
        self._gallery = Gallery()
        self._size = watched_size(format.width, format.height, float(format.sample_aspect))
        scale = np.array((format.width / self._size[0], format.height / self._size[1]))
        self._tracker = ShotTracker(self._detector, 0, scale)

    def add(self, batch: FrameBatch) -> None:
        """Look at the frames, reduced."""
        for place in range(batch.core.start, batch.core.stop):
            whole = np.ascontiguousarray(batch.pixels[place].permute(1, 2, 0).cpu().numpy())
            self._tracker.add(watched_picture(whole, self._size))
            if self._embedder is not None and self._gallery.wants(len(self._pts)):
                upright = (max(8, round(whole.shape[1] * float(self._format.sample_aspect))), whole.shape[0])
                self._gallery.add(
                    len(self._pts), watched_picture(whole, upright), (self._format.width, self._format.height)
                )
            self._pts.append(batch.pts[place])

    def finish(self) -> dict[str, Any]:
        """``faces``: of each, its frames in the shot [from, to), width and mean quality; paths are in the arrays.

        ``identity`` and ``alike``, where faces can be told apart: see `restore.faces.identify`. ``asked``: the box in
        the frame that ``--at`` names.
        """
        self._tracks, embedder = self._tracker.finish(), self._embedder
        vectors = self._gallery.vectors(self._tracks, embedder) if embedder else [None] * len(self._tracks)
        faces = [self._face(track, vector) for track, vector in zip(self._tracks, vectors, strict=True)]
        size = [self._format.width, self._format.height]
        found = {"length": len(self._pts), "size": size, "zero": self._zero, "faces": faces}
        return found if embedder is None else {**found, "alike": embedder.alike}

    def _face(self, track: Track, vector: Array | None) -> dict[str, Any]:
        face = {
            "frames": [track.start, track.stop], "width": round(float(np.median(track.boxes[:, 2])), 1),
            "largest": round(float(track.boxes[:, 2].max()), 1), "quality": round(float(track.quality.mean()), 3),
            "found in": track.seen, "identity": None if vector is None else vector.round(4).tolist(),
        }  # fmt: skip
        asked = -1 if self._asked is None else self._asked - self._start
        if track.start <= asked < track.stop:
            face["asked"] = track.boxes[asked - track.start].round(1).tolist()
        return face

    def arrays(self) -> Iterable[tuple[str, npt.NDArray[Any]]]:
        """``pts`` of the shot, and ``face-0`` and so on: a line a frame, see `COLUMNS`."""
        yield "pts", np.array(self._pts, np.int64)
        for number, track in enumerate(self._tracks):
            yield f"face-{number}", path_of(track, len(self._pts))


def path_of(track: Track, length: int) -> npt.NDArray[np.float32]:
    """(N, COLUMNS) what rendering must know of a face in a shot of so many frames."""
    weight = weights_of(track, length)
    columns = (weight, track.frontal, track.sharpness, track.confidence)
    points = track.points.reshape(len(track), 10)
    return np.concatenate((np.stack(columns, 1), points), 1).astype(np.float32)


def weights_of(track: Track, length: int) -> Array:
    """(N,) 0 to 1: how much of the change is made in each frame.

    Less where a face is small, turned away, blurred or not surely one; it comes and goes slowly, but where the shot
    begins or ends with the face it is there at once.
    """
    width = np.sqrt(track.boxes[:, 2] * track.boxes[:, 3])
    seen = (
        _between(width, SMALL, 2 * SMALL) * _between(track.frontal, 0.15, 0.5) * _between(track.confidence, 0.15, 0.45)
        * (0.4 + 0.6 * _between(track.sharpness, 0.02, 0.2))
    )  # fmt: skip
    # A dip counts in full: the smallest nearby first, then smoothed.
    reach = round(_FADE)
    padded = np.pad(seen, reach, mode="edge")
    lowest = np.min([padded[k : k + len(seen)] for k in range(2 * reach + 1)], axis=0)
    at = np.arange(len(track))
    ends = np.ones(len(track))
    if track.start > 0:
        ends = np.minimum(ends, (at + 0.5) / (2 * _FADE))
    if track.stop < length:
        ends = np.minimum(ends, (len(track) - at - 0.5) / (2 * _FADE))
    return np.asarray(gaussian_filter1d(lowest, _FADE / 2, mode="nearest") * _between(ends, 0.0, 1.0))


def _between(values: Array, low: float, high: float) -> Array:
    """0 under `low`, 1 over `high`, smoothly between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))
