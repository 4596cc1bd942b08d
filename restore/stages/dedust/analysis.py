"""Finding scratches along a shot: thin vertical lines that stay, but do not move as the scene does."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.analysis.flow import Plane
from restore.analysis.ridges import Floats, Ridge, distances, reach, ridges, strips
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer
from restore.stages.dedust.detect import Mask
from restore.stages.dedust.scratches import Line

STRIPS = 16
_SCENE_STRIPS = 48
_NEAR = 40
SHORTEST = 5
"""A scratch is seen on at least so many frames."""
_NEAREST = 3.5
"""Pixels by which a line may jump from frame to frame."""
_LOST = 4
"""A track ends after so many frames without the line; so many before and after it are searched for it once more:"""
_LEEWAY = 3
"""so many pixels around where it was,"""
_MADE_OUT = 0.6
"""for what stands out by this share of what it did."""
_AT_TIMES = 0.2
"""What a scratch shows on this share of the frames, at either end of it, is part of it."""
WANDERS = 0.14
"""Pixels (root mean square, from frame to frame) by which a scratch moves against the scene; what moves less may be a
pole or a door."""
WANDERS_WHOLE = 0.06
"""The same of a line from top to bottom."""
WANDERS_VEIL = 0.12
"""The same of a line that the scene shows through: few things of a scene are so,"""
WANDERS_VEIL_WHOLE = 0.04
"""and hardly one of them from top to bottom."""
LEAPS = 1.0
"""What moves by more is no one thing;"""
LEAPS_WHOLE = 2.0
"""a straight line down most of the picture is one all the same."""
DRIFTS = 1.0
"""By what the scene moves at least, all of it, where a line stands still, if that makes it a scratch,"""
DRIFTS_WHOLE = 0.4
"""and the same of a line from top to bottom."""
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
VEIL_LEAST = 0.03
"""How much a line adds at least, for it to be told whether the scene shows through it;"""
VEIL_OVER = 0.03
"""how much the scene beneath it varies (standard deviation down the picture);"""
VEIL_EVEN = 0.4
"""and how much, as a share of either, what it adds may vary, and its two sides differ."""
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
    reaching: list[bool] = field(default_factory=list)
    """Whether it runs over both the upper and the lower edge of the picture."""
    seen: Floats = field(default_factory=lambda: np.zeros((4, STRIPS)))
    """Sums over the frames, strip by strip: where it shows, how far it stands out there, how bright it is left and
    right of it."""
    over: float = 0.0
    """How far it stands out, summed over the frames."""
    first: int = 0
    """pts of the frame from which on it can be made out, though it was first found later."""
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
        # Few things of a scene run down the whole picture without a gap; the frame of a title stops before its edges.
        whole = shows[usual].mean() > 0.9 and np.mean(self.reaching) > 0.5
        unbroken = (float(usual.mean()) - 0.65) / 0.25 if whole else 0.0
        needed = np.interp(unbroken, (0, 1), (WANDERS, WANDERS_WHOLE))
        leaps = LEAPS_WHOLE if usual.mean() >= 0.85 and crooked < CROOKED / 2 else LEAPS
        wanders = needed <= min(still, against_near, against_all) <= leaps
        if usual.mean() >= LONG and self._is_veil(usual):
            needed = np.interp(usual.mean(), (0.6, 0.85), (WANDERS_VEIL, WANDERS_VEIL_WHOLE))
            wanders = wanders or needed <= min(against_near, against_all) <= leaps
        if abs(slope) * 480 / self.height > (SLANT_WHOLE if usual.mean() >= 0.75 else SLANT):
            return False
        if usual.mean() < LONG:
            steady = float(shows[shows > 0].mean()) >= 0.7
            return wanders and steady and crooked < CROOKED_SHORT
        drifts = np.interp(unbroken, (0, 1), (DRIFTS, DRIFTS_WHOLE))
        alone = still < min(0.5, drifts / 2) and min(against_near, against_all) > drifts
        return (wanders or alone) and crooked < CROOKED and float(shows[usual].mean()) > 0.6

    def _is_veil(self, usual: Mask) -> bool:
        """Whether the scene shows through it: it adds the same to whatever lies beneath, which is not the same all the
        way; what stands in the scene hides what is behind it, and what lies in shade or in a wall is darker by a share.
        """
        times, over, left, right = self.seen[:, usual]
        over, left, right = (one / np.maximum(times, 1) for one in (over, left, right))
        place = _STRIP[usual]
        beneath = (left + right) / 2
        beneath = beneath - np.polyval(np.polyfit(place, beneath, 2), place)  # light that falls off is one thing
        strength, varies = float(np.median(over)), float(beneath.std())
        uneven = 1.4826 * float(np.median(np.abs(over - strength)))  # at ends and edges it seems to add otherwise
        return bool(
            strength >= VEIL_LEAST
            and varies >= VEIL_OVER
            and uneven < VEIL_EVEN * min(strength, varies)
            and np.abs(left - right).mean() < VEIL_EVEN * strength
        )

    def line(self, last: int) -> Line:
        """As the plan holds it, up to a time: it is there before it is found and after it is lost."""
        shows = np.mean(self.present, axis=0)
        usual = shows >= 0.5
        places = np.flatnonzero(_grown(usual, shows >= _AT_TIMES))
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
        if self.first < self.pts[0]:
            path.insert(0, (self.first, *path[0][1:]))
        if last > self.pts[-1]:
            path.append((last, *path[-1][1:]))
        return Line(self.sign, tuple(path), rows)


def _grown(core: Mask, wider: Mask) -> Mask:
    """The core, and what of the wider mask is joined to its ends."""
    places = np.flatnonzero(core)
    top, bottom = int(places[0]), int(places[-1])
    while top > 0 and wider[top - 1]:
        top -= 1
    while bottom < len(core) - 1 and wider[bottom + 1]:
        bottom += 1
    result = core.copy()
    result[[top, bottom]] = True
    return result


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


class Scene:
    """How the scene moved sideways between two frames, by their strips, (strips, W)."""

    def __init__(self, before: Plane, now: Plane) -> None:
        self._costs = _scene_costs(before, now)
        self._change = now - before
        self._slopes = np.zeros_like(now)
        self._slopes[:, 1:-1] = (before[:, 2:] - before[:, :-2] + now[:, 2:] - now[:, :-2]) / 4

    def step(self, x: float, outer: float) -> float:
        """By how many pixels what lies within `outer` of a column moved. 0 where nothing there tells."""
        width = self._costs.shape[1]
        inner = 4
        columns = np.arange(int(max(0, round(x) - outer)), int(min(width, round(x) + outer + 1)))
        columns = columns[(np.abs(columns - x) > inner + _MOST) & (columns >= _MOST) & (columns < width - _MOST)]
        if len(columns) < 8:
            return 0.0
        cost = self._costs[:, columns].mean(1) / _NOISE
        best = int(cost.argmin())
        if not 0 < best < len(_STEPS) - 1:
            return 0.0
        if cost[best] > 0.85 * cost[len(_STEPS) // 2]:
            return fine_step(self._slopes[:, columns], self._change[:, columns])
        left, middle, right = cost[best - 1 : best + 2]
        return float(_STEPS[best] + 0.125 * (left - right) / max(left - 2 * middle + right, 1e-12))


def _scene_costs(before: Plane, now: Plane) -> Floats:
    """(steps, W): how badly each column fits the frame before if the scene had moved by each of `_STEPS`."""
    width = now.shape[1]
    room = int(_MOST) + 1
    wide = np.pad(before, ((0, 0), (room, room)), mode="edge")
    costs = np.empty((len(_STEPS), width))
    for place, step in enumerate(_STEPS):
        low = int(np.floor(-step))
        part = np.float32(-step - low)
        first = wide[:, room + low : room + low + width]
        moved = first + (wide[:, room + low + 1 : room + low + 1 + width] - first) * part if part else first
        missed = now - moved
        costs[place] = np.minimum(missed * missed, np.float32(0.01)).mean(0, dtype=np.float64)
    return costs


def fine_step(slopes: Plane, change: Plane) -> float:
    """By what fraction of a pixel a piece of the scene moved sideways, by how its brightness rises from pixel to pixel
    and how it changed: least squares (Lucas and Kanade 1981).

    A title weaves by tenths of a pixel, too little to tell from costs where most of the picture is plain. 0 where its
    edges do not stand out from the noise.
    """
    noise = float((1.4826 * np.median(np.abs(change))) ** 2)
    energy = float((slopes**2).sum(dtype=np.float64)) - slopes.size * noise / 8  # the noise has slopes of its own
    if energy <= 0 or noise / energy > _FINE**2:
        return 0.0
    return float(np.clip(-(slopes * change).sum(dtype=np.float64) / energy, -1, 1))


class ScratchAnalyzer(Analyzer):
    """Follows thin lines from frame to frame and keeps those that are scratches."""

    sees = "input"
    domain = "luma"

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._open: list[Track] = []
        self._found: list[Line] = []
        self._before: Plane | None = None
        self._recent: deque[tuple[int, Plane]] = deque(maxlen=_LOST + 1)

    def add(self, batch: FrameBatch) -> None:
        """Look for lines in one frame and hang them to those of the frame before."""
        self.see(batch.pixels[batch.core.start, 0].cpu().numpy(), batch.pts[batch.core.start])

    def see(self, luma: Plane, pts: int) -> None:
        """One more frame's luma."""
        scene = strips(luma, min(_SCENE_STRIPS, luma.shape[0]))
        free = ridges(luma, STRIPS) if min(luma.shape) >= 2 * STRIPS else []
        moved_scene: Scene | None = None
        for track in self._open:
            alike = [ridge for ridge in free if ridge.sign == track.sign]
            apart = distances(track.x[-1], track.present[-1], alike) if alike else np.array([np.inf])
            if apart.min() > _NEAREST:
                track.missed += 1
                continue
            ridge = alike[int(apart.argmin())]
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
                moved_scene = moved_scene or Scene(self._before, scene)
                scene_steps = [moved_scene.step(x, reach) for reach in (_NEAR, scene.shape[1])]
                track.wandering.append([(moved - step) ** 2 - noise for step in (0.0, *scene_steps)])
            _extend(track, ridge, luma, pts)
        for ridge in free:
            track = Track(ridge.sign, luma.shape[0])
            _extend(track, ridge, luma, pts)
            track.first = _made_out(track, reversed(self._recent), pts)
            self._open.append(track)
        self._before = scene
        self._recent.append((pts, strips(luma, STRIPS)))
        for track in [track for track in self._open if track.missed > _LOST]:
            self._close(track)

    def _close(self, track: Track) -> None:
        self._open.remove(track)
        if track.is_scratch:
            later = [(pts, means) for pts, means in self._recent if pts > track.pts[-1]]
            self._found.append(track.line(_made_out(track, later, track.pts[-1])))

    def finish(self) -> dict[str, Any]:
        """``{"lines": [...]}``, each as `Line` reads it."""
        for track in list(self._open):
            self._close(track)
        return {"lines": [line.as_json() for line in sorted(self._found, key=lambda line: line.path[0])]}


def _reaches(luma: Plane, ridge: Ridge) -> bool:
    """Whether a line stands out half as much as elsewhere in the outermost rows of the picture, too."""
    height, width = luma.shape
    aside = reach(height)

    def contrast(rows: slice, x: float) -> float:
        middle = int(np.clip(round(x), aside + 1, max(aside + 1, width - aside - 2)))
        part = luma[rows, middle - aside - 1 : middle + aside + 2].mean(0) * ridge.sign
        return float(part[aside : aside + 3].max() - (part[0] + part[-1]) / 2)

    edges = np.linspace(0, height, len(ridge.x) + 1).astype(int)
    usual = np.median([
        contrast(slice(edges[n], edges[n + 1]), ridge.x[n]) for n in np.flatnonzero(ridge.present)
    ])  # fmt: skip
    outermost = max(2, height // 40)
    ends = contrast(slice(0, outermost), ridge.x[0]), contrast(slice(-outermost, None), ridge.x[-1])
    return bool(min(ends) > usual / 2)


def _made_out(track: Track, frames: Iterable[tuple[int, Plane]], pts: int) -> int:
    """How far from a time on a line that was found there can be made out in the next of these frames, means of strips:
    the last pts at which something near its place stands out half as much."""
    place = len(track.pts) - 1
    strip = np.flatnonzero(track.present[place])
    columns = np.round(track.x[place][strip]).astype(int) + np.arange(-_LEEWAY, _LEEWAY + 1)[:, None]
    away = reach(track.height)
    for time, means in frames:
        left, middle, right = (
            means[strip, np.clip(columns + step, 0, means.shape[1] - 1)] for step in (-away, 0, away)
        )  # fmt: skip
        over = np.median(track.sign * (middle - (left + right) / 2), axis=1).max()
        if over < _MADE_OUT * track.over / len(track.pts):
            break
        pts = time
    return pts


def _extend(track: Track, ridge: Ridge, luma: Plane, pts: int) -> None:
    track.reaching.append(_reaches(luma, ridge))
    track.pts.append(pts)
    track.x.append(ridge.x)
    track.present.append(ridge.present)
    track.seen += np.stack((np.ones(STRIPS), ridge.over, ridge.sides[:, 0], ridge.sides[:, 1])) * ridge.present
    track.over += float(np.median(ridge.over[ridge.present]))
    track.missed = 0
