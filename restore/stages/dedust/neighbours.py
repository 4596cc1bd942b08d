"""A frame's neighbours, moved into its place: flow between frames is found once and kept as long as it is needed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from restore.analysis.flow import (
    Field,
    Plane,
    Small,
    enlarged,
    flow_between,
    grid,
    moved,
    reduced_luma,
    reduction,
    same_plane,
)
from restore.stages.dedust.detect import Mask, Spikes, Views, density, evened, spikes
from restore.stages.dedust.judge import Context

_WINDOW = 17
"""Pixels of the reduced pictures over which two motions are compared."""
_CLEARLY, _SAME = 0.9, 0.3
"""Flow is believed where what it misses is less than this share of what the common motion misses, and this many
steps of 8 bits less."""


class Lumas:
    """The luma of consecutive frames of a shot, and what follows from it. Frames are called by their pts.

    All it returns is a function of the frames last seen: what it remembers of earlier calls only saves time.
    """

    def __init__(self) -> None:
        self._order: list[int] = []
        self._frames: dict[int, Plane] = {}
        self._small: dict[int, Small] = {}
        self._fields: dict[tuple[int, int], Field] = {}
        self._views: dict[tuple[int, ...], Views] = {}
        self._spikes: dict[tuple[int, ...], Spikes] = {}
        self._density: dict[tuple[int, ...], Plane] = {}

    def see(self, pts: Sequence[int], frames: Sequence[Plane]) -> None:
        """These frames, in order, and no others."""
        fresh = dict(zip(pts, frames, strict=True))
        same = {key for key in fresh if key in self._frames and same_plane(fresh[key], self._frames[key])}
        if len({plane.shape for plane in (*fresh.values(), *self._frames.values())}) > 1:
            same = set()
        self._order, self._frames = list(pts), fresh
        self._small = {key: value for key, value in self._small.items() if key in same}
        self._fields = {key: value for key, value in self._fields.items() if same.issuperset(key)}
        self._views = {key: value for key, value in self._views.items() if same.issuperset(key)}
        self._spikes = {key: value for key, value in self._spikes.items() if same.issuperset(key)}
        self._density = {key: value for key, value in self._density.items() if same.issuperset(key)}

    def beside(self, here: int) -> list[int]:
        """The two frames to compare with: one on each side, or at the end of a shot the next two; fewer if need be."""
        place, count = self._order.index(here), len(self._order)
        others = [n for n in (place - 1, place + 1) if 0 <= n < count]
        if len(others) == 1 and 0 <= 2 * others[0] - place < count:
            others.append(2 * others[0] - place)
        return [self._order[n] for n in others]

    def luma(self, key: int) -> Plane:
        """One of the frames."""
        return self._frames[key]

    def apart(self, here: int, there: int) -> int:
        """How many frames lie from one to the other."""
        return abs(self._order.index(there) - self._order.index(here))

    def one_sided(self, here: int) -> bool:
        """Whether it is the first or the last frame."""
        return here in (self._order[0], self._order[-1])

    def _reduced(self, key: int) -> Small:
        if key not in self._small:
            frame = self._frames[key]
            self._small[key] = reduced_luma(frame, reduction(*frame.shape))
        return self._small[key]

    def motion(self, here: int, there: int) -> Field:
        """Flow of the reduced pictures between two frames; over more than one frame, joined of steps."""
        if (here, there) not in self._fields:
            place, last = self._order.index(here), self._order.index(there)
            step = self._order[place + (1 if last > place else -1)]
            if step == there:
                pair = self._reduced(here), self._reduced(there)
                field = settled(flow_between(*pair), *pair)
            else:
                first = self.motion(here, step)
                field = first + moved(self.motion(step, there), first)
            self._fields[here, there] = field
        return self._fields[here, there]

    def views(self, here: int) -> Views:
        """A frame and the two `beside` it, moved into its place and as bright. There must be two."""
        key = (here, *self.beside(here))
        if key not in self._views:
            frame = self._frames[here]
            others: list[Plane] = []
            shown = np.zeros(frame.shape, bool)
            for there in key[1:]:
                where = cv2.add(enlarged(self.motion(here, there), *frame.shape), grid(*frame.shape))
                found = cv2.remap(self._frames[there], where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                others.append(evened(np.asarray(found, np.float32), frame))
                shown |= _inside(where)
            for other in others:
                other[~shown] = frame[~shown]  # what no neighbour shows none can judge
            self._views[key] = Views(frame, *others)
        return self._views[key]

    def spikes(self, here: int) -> Spikes:
        """How a frame sticks out of the two `beside` it."""
        key = (here, *self.beside(here))
        if key not in self._spikes:
            self._spikes[key] = spikes(self.views(here))
        return self._spikes[key]

    def context(self, here: int) -> Context:
        """What is known of the surroundings of every pixel."""
        places = [self._order.index(there) - self._order.index(here) for there in self.beside(here)]
        steps = [self.motion(here, there) / step for there, step in zip(self.beside(here), places, strict=True)]
        change, speed = steps[0] - steps[1], (steps[0] + steps[1]) / 2
        unsteady = cv2.blur(np.hypot(change[..., 0], change[..., 1]), (5, 5))
        return Context(self.company(here), unsteady, np.hypot(speed[..., 0], speed[..., 1]))

    def company(self, here: int) -> Plane:
        """The share of spikes around each pixel in the frames before and after, the smaller of the two.

        Only beyond twice what is usual in them: a dirty film spikes everywhere, water and sparks where they
        are. Reduced by 4. At the end of a shot that of the one neighbour.
        """
        place = self._order.index(here)
        around = [self._own_density(n) for n in self._order[max(0, place - 1) : place + 2] if n != here]
        return around[0] if len(around) == 1 else np.minimum(*around)

    def _own_density(self, here: int) -> Plane:
        key = (here, *self.beside(here))
        if key not in self._density:
            found = density(self.spikes(here))
            size = (max(1, found.shape[1] // 4), max(1, found.shape[0] // 4))
            small = cv2.resize(found, size, interpolation=cv2.INTER_AREA)
            self._density[key] = np.maximum(small - 2 * np.median(small), 0)
        return self._density[key]


def settled(field: Field, here: Small, there: Small) -> Field:
    """Flow where it predicts clearly better than the motion that most of the picture has, and that motion elsewhere: on
    a plain wall flow is led astray by grain, and by the very dirt that is sought."""
    common = np.broadcast_to(np.median(field.reshape(-1, 2)[::7], axis=0), field.shape).astype(np.float32)
    target, source = here.astype(np.float32), there.astype(np.float32)
    along, together = (cv2.blur(cv2.absdiff(target, moved(source, one)), (_WINDOW, _WINDOW)) for one in (field, common))
    believed = along < _CLEARLY * together - _SAME
    common[believed] = field[believed]
    return common


def _inside(where: Field) -> Mask:
    """(H, W): which places, right and down, lie inside the picture; a pixel more or less."""
    height, width = where.shape[:2]
    found = cv2.inRange(where, (-1.0, -1.0, 0.0, 0.0), (float(width), float(height), 0.0, 0.0))
    return np.asarray(found > 0, bool)
