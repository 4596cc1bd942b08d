"""Finding scratches along a shot: thin vertical lines that stay, but do not move as the scene does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Plane, luma_of
from restore.analysis.ridges import Floats, Ridge, ridges, strips
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer
from restore.stages.dedust.detect import Mask
from restore.stages.dedust.scratches import Line

STRIPS = 16
_SCENE_STRIPS = 48
_NEAR = 40
SHORTEST = 5
"""A scratch is seen on at least so many frames."""
_LOST = 4
"""A track ends after so many frames without the line."""
WANDERS = 0.14
"""Pixels (root mean square, from frame to frame) by which a scratch moves against the scene; what moves less may be a
pole or a door."""
LEAPS = 1.0
"""What moves by more is no one thing,"""
DRIFTS = 1.0
"""unless it is the scene that moves by more, all of it, and the line stands still."""
CROOKED = 0.8
"""Pixels (root mean square) by which a long scratch departs from a straight line,"""
CROOKED_SHORT = 0.3
"""and a short one."""
LONG = 0.5
"""A line over so much of the height is a scratch if it wanders; a shorter one must be straighter and steadier too,"""
SHORT = 0.3
"""and one over less may be anything: edges of what moves are full of such pieces."""
_MANY = 12
_LEAST = ((0.8, 0.4376), (0.6, 0.2145))
"""What share of the steps counts, the smallest, with few and with many of them, and the mean square of that share of a
normal variable."""
SLANT = 3.0
"""By how many pixels, in a picture of 480 lines, a scratch leans over the whole height: it runs along the film,"""
SLANT_WHOLE = 8.0
"""and what is seen over nearly all of the height may lean this far."""

Strips = npt.NDArray[np.float64]
_STRIP = (np.arange(STRIPS) + 0.5) / STRIPS - 0.5


@dataclass
class Track:
    """One line, followed through the frames."""

    sign: int
    height: int
    """Of the picture."""
    pts: list[int] = field(default_factory=list)
    x: list[Floats] = field(default_factory=list)
    """In each strip."""
    present: list[Mask] = field(default_factory=list)
    """In which strips it shows."""
    wandering: list[list[float]] = field(default_factory=list)
    """Squares of the steps less those of noise: as they are, against the scene near by, against all of it."""
    missed: int = 0

    @property
    def is_scratch(self) -> bool:
        """Whether it lasted, runs as a scratch does, and moved as only a scratch does."""
        if len(self.pts) < SHORTEST or not self.wandering:
            return False
        shows = np.mean(self.present, axis=0)
        usual = shows >= 0.5
        if usual.mean() < SHORT:
            return False
        runs = np.array([_straight(x, there & usual) for x, there in zip(self.x, self.present, strict=True)])
        slope, crooked = (float(value) for value in runs.mean(0))
        # The largest are left out: a line that stands still and jumps now and then is no scratch.
        share, variance = _LEAST[len(self.wandering) >= _MANY]
        least = np.sort(np.asarray(self.wandering), axis=0)[: max(1, int(len(self.wandering) * share))].mean(0)
        still, against_near, against_all = np.sqrt(np.maximum(least / variance, 0))
        wanders = WANDERS <= min(still, against_near, against_all) <= LEAPS
        if abs(slope) * 480 / self.height > (SLANT_WHOLE if usual.mean() >= 0.75 else SLANT):
            return False
        if usual.mean() < LONG:
            steady = float(shows[shows > 0].mean()) >= 0.7
            return wanders and steady and crooked < CROOKED_SHORT
        alone = still < 0.5 and min(against_near, against_all) > DRIFTS
        return (wanders or alone) and crooked < CROOKED and float(shows[usual].mean()) > 0.6

    def line(self) -> Line:
        """As the plan holds it."""
        shows = np.mean(self.present, axis=0)
        usual = shows >= 0.5
        places = np.flatnonzero(usual)
        top, bottom = int(places[0]) - 1, int(places[-1]) + 2
        rows = (0.0 if top < 2 else top / STRIPS, 1.0 if bottom > STRIPS - 2 else bottom / STRIPS)
        both = [present & usual if (present & usual).sum() >= 2 else usual for present in self.present]
        slopes = [_straight(x, there)[0] for x, there in zip(self.x, both, strict=True)]
        if usual.mean() < 0.7:
            slopes = [float(np.mean(slopes))] * len(slopes)
        path = []
        for pts, x, there, slope in zip(self.pts, self.x, both, slopes, strict=True):
            middle = float(np.median((x - slope * _STRIP)[there]))
            path.append((pts, round(middle, 2), round(slope, 2)))
        return Line(self.sign, tuple(path), rows)


def _straight(x: Strips, there: Mask) -> tuple[float, float]:
    """By how much a line leans over the whole height, and its root mean square distance from straight, in pixels."""
    if there.sum() < 2:
        return 0.0, 0.0
    slope, middle = np.polyfit(_STRIP[there], x[there], 1)
    return float(slope), float(np.std((x - slope * _STRIP - middle)[there]))


_MOST = 4.0
"""Pixels sideways by which the scene is tried to have moved,"""
_STEPS = np.arange(-_MOST, _MOST + 0.01, 0.25)
"""in these steps."""
_NOISE = 1 + (_STEPS % 1) ** 2 + (1 - _STEPS % 1) ** 2
"""How much noise is left in the difference from a frame moved by each: between two pixels it is averaged."""
_FINE = 0.05
"""Standard error, in pixels, up to which smaller movements are believed."""


def scene_costs(before: Plane, now: Plane) -> Floats:
    """(steps, W): how badly each column fits the frame before if the scene had moved by each of `_STEPS`; strips of
    both frames, (strips, W)."""
    width = now.shape[1]
    columns = np.arange(width)
    costs = np.empty((len(_STEPS), width))
    for place, step in enumerate(_STEPS):
        low = np.clip(np.floor(columns - step).astype(int), 0, max(0, width - 2))
        part = ((columns - step) - low).astype(np.float32)
        moved = before[:, low] * (1 - part) + before[:, np.minimum(low + 1, width - 1)] * part
        costs[place] = np.minimum((now - moved) ** 2, np.float32(0.01)).mean(0, dtype=np.float64)
    return costs


def fine_step(before: Plane, now: Plane) -> float:
    """By what fraction of a pixel a piece of the scene moved sideways: least squares (Lucas and Kanade 1981).

    A title weaves by tenths of a pixel, too little to tell from costs where most of the picture is plain. 0 where its
    edges do not stand out from the noise.
    """
    slopes = np.gradient((before.astype(np.float64) + now) / 2, axis=1)[:, 1:-1]
    change = (now.astype(np.float64) - before)[:, 1:-1]
    noise = float((1.4826 * np.median(np.abs(change))) ** 2)
    energy = float((slopes**2).sum()) - slopes.size * noise / 8  # the noise has slopes of its own
    if energy <= 0 or noise / energy > _FINE**2:
        return 0.0
    return float(np.clip(-(slopes * change).sum() / energy, -1, 1))


def scene_step(costs: Floats, before: Plane, now: Plane, x: float, outer: float) -> float:
    """By how many pixels the scene within `outer` of a column moved sideways between two frames' strips.

    `costs` are theirs, see `scene_costs`. 0 where nothing there tells.
    """
    width = costs.shape[1]
    inner = 4
    columns = np.arange(int(max(0, round(x) - outer)), int(min(width, round(x) + outer + 1)))
    columns = columns[(np.abs(columns - x) > inner + _MOST) & (columns >= _MOST) & (columns < width - _MOST)]
    if len(columns) < 8:
        return 0.0
    cost = costs[:, columns].mean(1) / _NOISE
    best = int(cost.argmin())
    if not 0 < best < len(_STEPS) - 1:
        return 0.0
    if cost[best] > 0.85 * cost[len(_STEPS) // 2]:
        return fine_step(before[:, columns], now[:, columns])
    left, middle, right = cost[best - 1 : best + 2]
    return float(_STEPS[best] + 0.125 * (left - right) / max(left - 2 * middle + right, 1e-12))


class ScratchAnalyzer(Analyzer):
    """Follows thin lines from frame to frame and keeps those that are scratches."""

    sees = "input"

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._open: list[Track] = []
        self._found: list[Line] = []
        self._before: Plane | None = None

    def add(self, batch: FrameBatch) -> None:
        """Look for lines in one frame and hang them to those of the frame before."""
        luma = luma_of(batch.pixels[batch.core].cpu().numpy())[0]
        self.see(luma, batch.pts[batch.core.start])

    def see(self, luma: Plane, pts: int) -> None:
        """One more frame's luma."""
        scene = strips(luma, min(_SCENE_STRIPS, luma.shape[0]))
        free = ridges(luma, STRIPS) if min(luma.shape) >= 2 * STRIPS else []
        costs: Floats | None = None
        for track in self._open:
            near = [ridge for ridge in free if ridge.sign == track.sign and _apart(track, ridge) <= 3.5]
            if not near:
                track.missed += 1
                continue
            ridge = min(near, key=lambda one: _apart(track, one))
            free.remove(ridge)
            both = ridge.present & track.present[-1]
            if self._before is not None and not track.missed and both.sum() >= 4:
                steps = (ridge.x - track.x[-1])[both]
                moved = float(np.median(steps))
                # Strips that disagree do not move together: the variance of their median is noise, not movement.
                noise = np.pi / 2 * float((1.4826 * np.median(np.abs(steps - moved))) ** 2) / len(steps)
                # It is a scratch only if it goes with nothing: not with what is near, not with the picture (a wall is
                # plain, and weaves with the rest), and does not stand still.
                x = float(np.median(ridge.x))
                costs = scene_costs(self._before, scene) if costs is None else costs
                scene_steps = [scene_step(costs, self._before, scene, x, reach) for reach in (_NEAR, scene.shape[1])]
                track.wandering.append([(moved - step) ** 2 - noise for step in (0.0, *scene_steps)])
            _extend(track, ridge, pts)
        for ridge in free:
            track = Track(ridge.sign, luma.shape[0])
            _extend(track, ridge, pts)
            self._open.append(track)
        self._before = scene
        for track in [track for track in self._open if track.missed > _LOST]:
            self._close(track)

    def _close(self, track: Track) -> None:
        self._open.remove(track)
        if track.is_scratch:
            self._found.append(track.line())

    def finish(self) -> dict[str, Any]:
        """``{"lines": [...]}``, each as `Line` reads it."""
        for track in list(self._open):
            self._close(track)
        return {"lines": [line.as_json() for line in sorted(self._found, key=lambda line: line.path[0])]}


def _apart(track: Track, ridge: Ridge) -> float:
    both = ridge.present & track.present[-1]
    return float(np.median(np.abs(ridge.x - track.x[-1])[both])) if both.any() else np.inf


def _extend(track: Track, ridge: Ridge, pts: int) -> None:
    track.pts.append(pts)
    track.x.append(ridge.x)
    track.present.append(ridge.present)
    track.missed = 0
