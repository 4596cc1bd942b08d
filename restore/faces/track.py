"""Following faces through one shot: detections tied together, gaps bridged by optical flow, paths smoothed.

Detections are tied to what is followed by the Hungarian method (H. W. Kuhn, 1955) on the overlap with where the flow
has carried each face, as SORT does with a motion model (Bewley et al., "Simple Online and Realtime Tracking", 2016).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment

from restore.analysis.flow import Field, Small, flow_between, reduced_luma, reduction
from restore.faces.detect import TEMPLATE, Detector, Face, Picture, contained, overlap, placed
from restore.faces.quality import likeness, patch_of, quality, sharpness
from restore.faces.smoothing import anchored, smoothed

Array = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]

EVERY = 3
"""Faces are looked for in every third frame; between them the flow carries on."""
_EVERYWHERE = 4
"""In every so many looks the whole picture is searched; in the others only where faces are expected."""
_TIED = 0.25
"""Overlap from which a detection is the face that was followed there."""
_ALIKE = 0.6
"""Likeness with how it looked when last seen, under which what the flow carries is no longer the face."""
_LONGEST = 60
"""Frames that a face may be unseen between two detections."""
_FOUND = 0.35
"""Share of the looks, from the first to the last in which it was found, in which a face is found; what only now and
then looks like one is none."""
_TAIL = 12
"""Frames that a face is followed before it was first seen and after it was last seen."""
_SIZE_STIFFNESS = 20000.0
"""Faces grow and shrink slowly; detectors are least sure of size."""


@dataclass(frozen=True, eq=False)
class Track:
    """One face from frame to frame in one shot, without a gap."""

    start: int
    """Its first frame, by number in the film."""
    boxes: Array
    """(N, 4): x, y, width, height; pixels of the source."""
    points: Array
    """(N, 5, 2): x, y of `restore.faces.detect.POINTS`; pixels of the source."""
    confidence: Array
    """(N,) 0 to 1."""
    frontal: Array
    """(N,) 0, a profile, to 1."""
    sharpness: Array
    """(N,) 0 to 1, at the size the face was looked at."""
    seen: int
    """Frames in which a detector found it; flow carried it through the others."""

    @property
    def stop(self) -> int:
        """The frame after its last."""
        return self.start + len(self.boxes)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def quality(self) -> Array:
        """(N,) 0 to 1: how well it is seen; see `restore.faces.quality.quality`."""
        return quality(np.sqrt(self.boxes[:, 2] * self.boxes[:, 3]), self.sharpness, self.frontal, self.confidence)


@dataclass(slots=True, eq=False)
class _Followed:
    """A face while its shot is watched; pixels of the watched picture."""

    start: int
    patch: Grey | None
    """How it looked when last seen."""
    boxes: list[Array] = field(default_factory=list)
    moved: list[Array] = field(default_factory=list)
    """(6, 2) each: how the flow moved the box's centre and the points since the frame before."""
    faces: list[Face | None] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)
    sharp: list[float] = field(default_factory=list)
    looked: list[bool] = field(default_factory=list)
    unseen: int = 0

    def add(self, box: Array, moved: Array, face: Face | None, alike: float, sharp: float, looked: bool) -> None:
        self.boxes.append(box)
        self.moved.append(moved)
        self.faces.append(face)
        self.alike.append(alike)
        self.sharp.append(sharp)
        self.looked.append(looked)

    @property
    def stop(self) -> int:
        return self.start + len(self.boxes)


@dataclass(frozen=True, slots=True)
class _Past:
    """A frame just seen."""

    grey: Grey
    field: Field | None
    """Where in it lies what was in the frame before."""


class ShotTracker:
    """Feed it a shot's frames in order; it keeps a few numbers a frame and the last pictures.

    Args:
        detector: finds faces in single frames.
        start: number of the shot's first frame.
        scale: (2,) pixels of the source for a pixel of the watched pictures, across and down.
        every: faces are looked for in every so many frames.
    """

    def __init__(self, detector: Detector, start: int, scale: Array, every: int = EVERY) -> None:
        self._detector, self._every = detector, every
        self._start, self._next = start, start
        self._scale = np.asarray(scale, float)
        self._past: deque[_Past] = deque(maxlen=_TAIL + 1)
        self._reduced: Small | None = None
        self._live: list[_Followed] = []
        self._ended: list[_Followed] = []
        self._looks = 0

    def add(self, picture: Picture) -> None:
        """See the next frame, (H, W, 3) RGB."""
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        luma = grey.astype(np.float32) / np.float32(255)
        reduced = reduced_luma(luma, reduction(*grey.shape))
        flow = None if self._reduced is None else flow_between(self._reduced, reduced)
        self._reduced = reduced
        self._past.append(_Past(grey, flow))
        looked = (self._next - self._start) % self._every == 0
        self._carry(grey, flow)
        if looked:
            self._looks += 1
            self._look(picture, grey)
        self._let_go()
        self._next += 1

    def finish(self) -> list[Track]:
        """The shot's faces, longest first, in pixels of the source."""
        kept = [face for face in (*self._ended, *self._live) if self._believed(face)]
        kept.sort(key=lambda face: -sum(found.score for found in face.faces if found is not None))
        chosen: list[_Followed] = []
        for face in kept:
            if all(_shared(face, other) < 0.6 for other in chosen):
                chosen.append(face)
        tracks = [self._settled(face) for face in chosen]
        return sorted(tracks, key=lambda track: (-len(track), track.start, track.boxes[0, 0]))

    def _carry(self, grey: Grey, flow: Field | None) -> None:
        """Move everything that is followed along the flow."""
        for face in self._live:
            moved = _moved(flow, face.boxes[-1], grey.shape) if flow is not None else np.zeros((6, 2))
            box = face.boxes[-1] + (*moved[0], 0, 0)
            patch = patch_of(grey, box)
            face.add(box, moved, None, likeness(patch, face.patch), sharpness(patch), False)
            face.unseen += 1

    def _look(self, picture: Picture, grey: Grey) -> None:
        for face in self._live:
            face.looked[-1] = True
        # New faces are looked for less often: they are followed back to where they came into sight.
        everywhere = not self._live or self._looks % _EVERYWHERE == 1
        found = self._detector.find(picture, [face.boxes[-1] for face in self._live], not everywhere)
        free = set(range(len(found)))
        for place, number in _tied(self._live, found):
            face, seen = self._live[place], found[number]
            face.boxes[-1], face.faces[-1], face.unseen = seen.box, seen, 0
            face.patch = patch_of(grey, seen.box)
            face.alike[-1] = 1.0
            free.discard(number)
        for number in sorted(free):
            if all(contained(found[number].box, face.boxes[-1]) < 0.6 for face in self._live):
                self._live.append(self._begun(found[number], grey))

    def _begun(self, face: Face, grey: Grey) -> _Followed:
        """A face seen for the first time, followed back to where it came into sight."""
        patch = patch_of(grey, face.box)
        before: list[tuple[Array, Array, float, float]] = []
        box, moved = face.box, np.zeros((6, 2))
        past = list(self._past)
        for back in range(1, len(past)):
            flow = past[-back].field
            if flow is None:
                break
            moved_here = _moved(flow, box, grey.shape)
            box = box - (*moved_here[0], 0, 0)
            there = patch_of(past[-back - 1].grey, box)
            alike = likeness(there, patch)
            if alike < _ALIKE or self._taken(self._next - back, box):
                break
            before.append((box, moved_here, alike, sharpness(there)))
        followed = _Followed(self._next - len(before), patch)
        # How a face moved into a frame was noted with the frame before it.
        steps = [np.zeros((6, 2)), *(moved_here for _, moved_here, _, _ in reversed(before))]
        for (box, _, alike, sharp), step in zip(reversed(before), steps, strict=False):
            followed.add(box, step, None, alike, sharp, False)
        moved = steps[len(before)]
        followed.add(face.box, moved, face, 1.0, sharpness(patch), True)
        return followed

    def _taken(self, number: int, box: Array) -> bool:
        """Whether another face was followed at that place in a frame."""
        for face in (*self._live, *self._ended):
            if face.start <= number < face.stop and contained(face.boxes[number - face.start], box) > 0.5:
                return True
        return False

    def _let_go(self) -> None:
        lost = [face for face in self._live if face.unseen > _LONGEST or (face.unseen and face.alike[-1] < 0.3)]
        for face in lost:
            self._live.remove(face)
            self._ended.append(face)

    def _believed(self, face: _Followed) -> bool:
        """Whether it is a face: found again and again, and surely enough."""
        places = [place for place, found in enumerate(face.faces) if found is not None]
        found = [seen for seen in face.faces if seen is not None]
        looks = sum(face.looked[places[0] : places[-1] + 1])
        enough = len(found) >= min(4, max(1, round(0.6 * self._looks))) and len(found) >= _FOUND * looks
        score = float(np.mean([seen.score for seen in found]))
        return enough and score >= self._detector.sure

    def _settled(self, face: _Followed) -> Track:
        """The finished path: cut to where the face was there, smoothed, in pixels of the source."""
        places = [place for place, found in enumerate(face.faces) if found is not None]
        stop = places[-1] + 1
        while stop < min(len(face.boxes), places[-1] + 1 + _TAIL) and face.alike[stop] >= _ALIKE:
            stop += 1
        seen = face.faces[:stop]
        there = np.array([found is not None for found in seen], float)
        measured = np.stack([box if found is None else found.box for box, found in zip(face.boxes, seen, strict=False)])
        moved = np.stack(face.moved[:stop])
        sizes = np.exp(np.stack([smoothed(np.log(measured[:, side]), there, _SIZE_STIFFNESS) for side in (2, 3)], 1))
        centres = measured[:, :2] + measured[:, 2:] / 2
        centres = np.stack([anchored(moved[:, 0, axis], centres[:, axis], there) for axis in (0, 1)], 1)
        boxes = np.concatenate((centres - sizes / 2, sizes), 1)
        points = _points(boxes, seen, moved)
        scores = np.array([0.0 if found is None else found.score for found in seen])
        surely = np.where(there > 0, np.sqrt(np.minimum(1, scores / 0.6)), 0.8 * np.array(face.alike[:stop]))
        frontal = np.array([0.0 if found is None else found.frontal for found in seen])
        return Track(
            face.start, boxes * np.tile(self._scale, 2), points * self._scale,
            np.clip(gaussian_filter1d(surely, 2.0, mode="nearest"), 0, 1),
            np.clip(smoothed(frontal, there, 200.0), 0, 1),
            np.clip(gaussian_filter1d(np.array(face.sharp[:stop]), 2.0, mode="nearest"), 0, 1),
            len(places),
        )  # fmt: skip


def _points(boxes: Array, seen: Sequence[Face | None], moved: Array) -> Array:
    """(N, 5, 2): the points' paths; the template in the box where they were never really seen."""
    usual = np.stack([placed(box) for box in boxes])
    weights = np.array([float(found is not None and found.measured) for found in seen])
    if weights.sum() < 3:
        return usual
    measured = np.stack([place if found is None else found.points for place, found in zip(usual, seen, strict=True)])
    paths = [
        [anchored(moved[:, 1 + point, axis], measured[:, point, axis], weights) for axis in (0, 1)]
        for point in range(len(TEMPLATE))
    ]
    return np.asarray(np.array(paths).transpose(2, 0, 1))


def _tied(live: Sequence[_Followed], found: Sequence[Face]) -> list[tuple[int, int]]:
    """Which of the followed is which of the found."""
    if not live or not found:
        return []
    shares = np.array([[overlap(face.boxes[-1], seen.box) for seen in found] for face in live])
    rows, columns = linear_sum_assignment(-shares)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if shares[r, c] >= _TIED]


def _shared(one: _Followed, other: _Followed) -> float:
    """How much two lie in each other while both are followed; 0 if they never meet."""
    span = range(max(one.start, other.start), min(one.stop, other.stop))
    inside = [contained(one.boxes[n - one.start], other.boxes[n - other.start]) for n in span]
    return float(np.mean(inside)) if inside else 0.0


def _moved(flow: Field, box: Array, shape: tuple[int, ...]) -> Array:
    """(6, 2) pixels: the usual flow in the middle of a box, and about each of its points."""
    back = np.array((shape[1] / flow.shape[1], shape[0] / flow.shape[0]))
    middles = np.concatenate(([(0.5, 0.5)], TEMPLATE))
    reaches = np.array([0.3, *[0.1] * len(TEMPLATE)])
    moved = np.zeros((6, 2))
    for place, (middle, reach) in enumerate(zip(middles, reaches, strict=True)):
        low = (box[:2] + (middle - reach) * box[2:]) / back
        high = (box[:2] + (middle + reach) * box[2:]) / back
        x, y = np.clip(low.astype(int), 0, np.array(flow.shape[1::-1]) - 1)
        right, bottom = np.maximum(np.ceil(high).astype(int), (x + 1, y + 1))
        moved[place] = np.median(flow[y:bottom, x:right].reshape(-1, 2), axis=0) * back
    return moved
