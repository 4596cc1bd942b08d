"""Finding every face of a shot, where it is in each frame, and how well it is seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
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
from restore.stages.reage.alignment import FRAMING
from restore.stages.reage.look import LOOK_SIDE, Album, Look, exact_points, thumbs, usual_look
from restore.stages.reage.options import ReageOptions
from restore.stages.reage.prototypes import AGE_SIDE, Table, load_table

Array = npt.NDArray[np.float64]

COLUMNS = 14
"""Of a face's path: weight, frontalness, sharpness, confidence, x and y of the five points."""
_JUDGED = 8
"""Best pictures of a face by which its age is judged."""
_FADE = 6.0
"""Frames (a Gaussian's sigma) over which the strength fades."""


class FaceAnalyzer(Analyzer):
    """Follows every face of every shot; who is meant is settled over the whole film."""

    sees = "source"

    def __init__(self, options: ReageOptions) -> None:
        self._options = options
        self._detector: Detector | None = None
        self._embedder: Embedder | None = None
        self._table: Table | None = None

    def film(self, index: FrameIndex) -> None:
        """Note when the film begins: keyframes count from there; and which frame the person points at."""
        self._zero = int(index.pts[0])
        place = Wanted.parse(None, self._options.at).place
        self._asked = None if place is None else index.find(place.time)

    def open(self, device: Device) -> None:
        """Load what finds faces, and what tells them apart, if it is here."""
        self._detector, self._embedder = choose_detector(self._options.detector), choose_embedder()
        self._table = load_table(torch.device("cpu"))

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Follow anew."""
        assert self._detector is not None
        self._format, self._pts, self._start = format, list[int](), shot.start
        self._gallery = Gallery()
        self._size = watched_size(format.width, format.height, float(format.sample_aspect))
        self._upright = (max(8, round(format.width * float(format.sample_aspect))), format.height)
        scale = np.array((format.width / self._size[0], format.height / self._size[1]))
        self._scale = scale
        self._tracker, self._album = ShotTracker(self._detector, 0, scale), Album()

    def add(self, batch: FrameBatch) -> None:
        """Look at the frames, reduced."""
        for place in range(batch.core.start, batch.core.stop):
            whole = np.ascontiguousarray(batch.pixels[place].permute(1, 2, 0).cpu().numpy())
            picture = watched_picture(whole, self._size)
            self._tracker.add(picture)
            self._album.add(picture)
            if self._embedder is not None and self._gallery.wants(len(self._pts)):
                self._gallery.add(len(self._pts), watched_picture(whole, self._upright), self._format)
            self._pts.append(batch.pts[place])

    def finish(self) -> dict[str, Any]:
        """``faces``: of each, its frames in the shot [from, to), width, mean quality, how old it looks; paths and looks
        are in the arrays. ``identity`` and ``alike``, where faces can be told apart: see `restore.faces.identify`;
        ``asked``: the face's box in the frame that the person points at."""
        tracks, embedder = self._tracker.finish(), self._embedder
        vectors = self._gallery.vectors(tracks, embedder) if embedder else [None] * len(tracks)
        self._faces = [self._found(track, vector) for track, vector in zip(tracks, vectors, strict=True)]
        self._album, self._gallery = Album(), Gallery()
        asked = -1 if self._asked is None else self._asked - self._start
        found: dict[str, Any] = {
            "length": len(self._pts), "size": [self._format.width, self._format.height], "zero": self._zero,
            "faces": [_listed(face, asked) for face in self._faces],
        }  # fmt: skip
        return found if embedder is None else {**found, "alike": embedder.alike}

    def arrays(self) -> Iterable[tuple[str, npt.NDArray[Any]]]:
        """``pts`` of the shot; ``face-0`` and so on: a line a frame, see `COLUMNS`; ``look-0-mean`` and so on: how the
        face usually looks, see `restore.stages.reage.look.Look`."""
        yield "pts", np.array(self._pts, np.int64)
        for number, face in enumerate(self._faces):
            yield f"face-{number}", path_of(face.track, len(self._pts))
            if face.look is not None:
                for name, array in face.look._asdict().items():
                    yield f"look-{number}-{name}", array.astype(np.float16)

    def _found(self, track: Track, identity: Array | None) -> _Face:
        """A followed face, exactly placed, and how it looks."""
        assert self._table is not None
        pictures = self._album.between(track.start, track.stop)
        if not pictures:
            return _Face(track, None, None, identity)
        points = track.points / self._scale
        crops = thumbs(pictures, points, track.start, self._table.mean.shape[0])
        points = exact_points(crops, points, self._table.mean)
        track = replace(track, points=points * self._scale)
        best = sorted(pictures, key=lambda pair: -track.quality[pair[0] - track.start])[:_JUDGED]
        ages = self._table.looks_like(thumbs(best, points, track.start, AGE_SIDE), FRAMING.points(AGE_SIDE))
        look = usual_look(thumbs(pictures, points, track.start, LOOK_SIDE))
        return _Face(track, look, float(np.median(ages)), identity)


@dataclass(frozen=True)
class _Face:
    track: Track
    look: Look | None
    age: float | None
    identity: Array | None


def _listed(face: _Face, asked: int) -> dict[str, Any]:
    track = face.track
    widths = track.boxes[:, 2]
    listed: dict[str, Any] = {
        "frames": [track.start, track.stop], "width": round(float(np.median(widths)), 1),
        "largest": round(float(widths.max()), 1), "quality": round(float(track.quality.mean()), 3),
        "found in": track.seen, "looks": None if face.age is None else round(face.age),
        "identity": None if face.identity is None else face.identity.round(4).tolist(),
    }  # fmt: skip
    return (
        {**listed, "asked": track.boxes[asked - track.start].round(1).tolist()}
        if track.start <= asked < track.stop
        else listed
    )


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
