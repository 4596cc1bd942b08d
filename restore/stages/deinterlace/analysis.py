"""Telling progressive, interlaced and telecined shots apart, and writing down what every new frame is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from restore.frames import Frame, Shot, VideoFormat
from restore.pipeline.contract import Watcher
from restore.stages.deinterlace.combing import FieldPair, change, combing, fields_of, roughness

PARTS = 4
"""The new film's time base is so many times finer: fields lie on halves of a frame, film frames on quarters of five."""

CYCLE = 5
_CLEAN = 0.002
"""Combing below this is none: noise and fine patterns comb a little."""
_GRAIN = 1.25
"""How much more than within single fields grain may comb woven ones."""
_MOVED = 0.012
"""A field that changed by less than this in its liveliest places stood still, and tells nothing."""


class How(IntEnum):
    """How a frame is made: second column of a timeline's row."""

    WEAVE = 0
    """Top field of one source frame, bottom field of another (or the same)."""
    TOP = 1
    """The top field kept, the other lines interpolated."""
    BOTTOM = 2
    """The bottom field kept, the other lines interpolated."""


@dataclass(slots=True)
class ShotFields:
    """What is remembered of a shot: a few numbers a frame."""

    shot: Shot
    own: list[float] = field(default_factory=list)
    """Combing of the frame as it is, beyond what its grain accounts for."""
    top_early: list[float] = field(default_factory=list)
    """Combing of its top field with the bottom field of the frame before."""
    bottom_early: list[float] = field(default_factory=list)
    """Combing of its bottom field with the top field of the frame before."""
    top_change: list[float] = field(default_factory=list)
    bottom_change: list[float] = field(default_factory=list)
    """Change of each field against the frame before."""

    def add(self, fields: FieldPair, before: FieldPair | None) -> None:
        """Measure the next frame of the shot."""
        usual = _GRAIN * roughness(fields)
        self.own.append(max(0.0, combing(fields.top, fields.bottom) - usual))
        if before is None:
            self.top_early.append(1.0)
            self.bottom_early.append(1.0)
            self.top_change.append(1.0)
            self.bottom_change.append(1.0)
            return
        self.top_early.append(max(0.0, combing(fields.top, before.bottom) - usual))
        self.bottom_early.append(max(0.0, combing(before.top, fields.bottom) - usual))
        self.top_change.append(change(fields.top, before.top))
        self.bottom_change.append(change(fields.bottom, before.bottom))


class FieldWatcher(Watcher):
    """Measures the fields of a film; two frames are held at a time."""

    def __init__(self, format: VideoFormat) -> None:
        self._peak = 1.0 if format.pixel.is_float else float(2**format.pixel.depth - 1)
        self._film = ShotFields(Shot(0, 0, 0))
        self._before: FieldPair | None = None

    def add(self, frame: Frame) -> None:
        """Measure the next frame."""
        fields = fields_of(frame.planes[0], self._peak)
        self._film.add(fields, self._before)
        self._before = fields

    def shots(self, shots: Sequence[Shot]) -> list[ShotFields]:
        """What was measured, shot by shot; the first frame of each has none before it."""
        film = self._film

        def own(values: list[float], shot: Shot) -> list[float]:
            return [1.0, *values[shot.start + 1 : shot.end]]

        return [
            ShotFields(
                shot, film.own[shot.start : shot.end], own(film.top_early, shot), own(film.bottom_early, shot),
                own(film.top_change, shot), own(film.bottom_change, shot),
            )
            for shot in shots
        ]  # fmt: skip


def measure(frames: Iterable[Frame], format: VideoFormat) -> ShotFields:
    """Watch frames that are one shot."""
    watcher, count = FieldWatcher(format), 0
    for frame in frames:
        watcher.add(frame)
        count += 1
    return watcher.shots([Shot(0, 0, count)])[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a shot is."""

    kind: str
    """``progressive``, ``interlaced`` or ``telecine``."""
    top_first: bool
    why: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on: counts of frames."""

    frames: int = 0
    moving: int = 0
    """Whose fields changed since the frame before; only they can tell."""
    combed: int = 0
    """Of the moving ones, those whose own fields do not go together."""
    mended: int = 0
    """Of the combed ones, those whose first field goes with the second of the frame before."""

    def __add__(self, other: Evidence) -> Evidence:
        pairs = zip(self.as_json().values(), other.as_json().values(), strict=True)
        return Evidence(*(own + more for own, more in pairs))

    def as_json(self) -> dict[str, int]:
        """The counts by name."""
        return {"frames": self.frames, "moving": self.moving, "combed": self.combed, "mended": self.mended}


def evidence(fields: ShotFields, top_first: bool) -> Evidence:
    """Count what the verdict on a shot rests on."""
    own = np.array(fields.own)
    early = np.array(fields.top_early if top_first else fields.bottom_early)
    moving = np.maximum(fields.top_change, fields.bottom_change) > _MOVED
    moving[:1] = False
    combed = moving & (own > _CLEAN)
    mended = combed & (np.minimum(own, early) <= np.maximum(_CLEAN, 0.25 * own))
    return Evidence(len(own), int(moving.sum()), int(combed.sum()), int(mended.sum()))


def judge(fields: ShotFields, top_first: bool) -> Verdict:
    """What a shot is, by its moving frames; a still shot is progressive."""
    counts = evidence(fields, top_first)
    said = f"{counts.combed} of {counts.moving} moving frames are combed"
    if not counts.combed or counts.combed < 0.1 * counts.moving:
        return Verdict("progressive", top_first, said)
    if counts.mended > 0.8 * counts.combed and _cycle(fields, top_first) is not None:
        return Verdict("telecine", top_first, f"{said}, and {counts.mended} of those go with a field before")
    return Verdict("interlaced", top_first, said)


def first_field(shots: Sequence[ShotFields], declared: str) -> bool:
    """Whether the top field comes first, over the whole film: neighbours in time comb less than fields a frame apart.

    What the source declares decides where nothing moves.
    """
    top, bottom = 0.0, 0.0
    for fields in shots:
        moving = np.maximum(fields.top_change, fields.bottom_change) > _MOVED
        moving[:1] = False
        combed = moving & (np.array(fields.own) > _CLEAN)
        top += float(np.array(fields.top_early)[combed].sum())
        bottom += float(np.array(fields.bottom_early)[combed].sum())
    if top == bottom or abs(top - bottom) < 0.05 * max(top, bottom):
        return declared != "bff"
    return top < bottom


def _matches(fields: ShotFields, top_first: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """For each frame whether its first field goes with the frame before's second field better than with its own."""
    own = np.array(fields.own)
    early = np.array(fields.top_early if top_first else fields.bottom_early)
    return (own > _CLEAN) & (early < 0.5 * own)


def _repeats(fields: ShotFields, top_first: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """How much each matched picture differs from the matched picture before; next to nothing for a repeated one."""
    early = _matches(fields, top_first)
    first, second = np.array(fields.top_change), np.array(fields.bottom_change)
    if not top_first:
        first, second = second, first
    found = np.full(len(early), np.inf)
    for n in range(1, len(early)):
        # Second fields: this frame's own or the one before's, against the same of the frame before.
        if early[n] and not early[n - 1]:
            late = 0.0  # both take the second field of frame n - 1
        elif early[n]:
            late = second[n - 1]
        elif early[n - 1]:
            late = second[n] + second[n - 1]
        else:
            late = second[n]
        found[n] = max(first[n], late)
    return found


def _cycle(fields: ShotFields, top_first: bool) -> list[int] | None:
    """Which frames of a telecined shot repeat the one before: one in five. None where there is no such rhythm."""
    repeats = _repeats(fields, top_first)
    count = len(repeats)
    if count < CYCLE + 1:
        return None
    finite = np.minimum(repeats, 1.0)
    costs = [float(finite[phase::CYCLE][1 if phase == 0 else 0 :].mean()) for phase in range(CYCLE)]
    phase = int(np.argmin(costs))
    others = np.delete(np.array(costs), phase)
    if costs[phase] > 0.5 * float(np.median(others)):
        return None
    dropped: list[int] = []
    for start in range(phase, count, CYCLE):
        # An edit after telecining shifts the rhythm: the repeat may lie a little off.
        near = [n for n in range(start - 2, start + 3) if 0 < n < count]
        best = min(near, key=lambda n: (round(float(finite[n]), 4), abs(n - start)))
        exact = start if 0 < start < count and finite[start] <= 1.5 * finite[best] + 1e-3 else best
        if not dropped or exact > dropped[-1] + 1:
            dropped.append(exact)
    return dropped


Row = tuple[int, int, int, int, int, int]
"""Source frame it begins with; `How`; source of the top field; of the bottom field; first and last + 1 source frame
that interpolation may look at."""


def film_rows(fields: ShotFields, top_first: bool, pts: Sequence[int], end: int) -> list[tuple[int, Row]]:
    """Inverse telecine: (pts in quarter ticks, row) of every film frame of a shot."""
    shot = fields.shot
    early = _matches(fields, top_first)
    dropped = set(_cycle(fields, top_first) or [])
    kept = [n for n in range(len(shot)) if n not in dropped]
    result: list[tuple[int, Row]] = []
    times = _film_times(kept, len(shot), [PARTS * t for t in pts], PARTS * end)
    for time, n in zip(times, kept, strict=True):
        number = shot.start + n
        earlier = number - 1 if early[n] and n else number
        top, bottom = (number, earlier) if top_first else (earlier, number)
        result.append((time, (number, How.WEAVE, top, bottom, shot.start, shot.end)))
    return result


def _film_times(kept: list[int], count: int, pts: list[int], end: int) -> list[int]:
    """Times of the kept frames: each run from one dropped frame to the next spread evenly over its stretch."""
    times: list[int] = []
    edges = [*pts, end]
    runs: list[list[int]] = []
    for n in kept:
        if runs and runs[-1][-1] == n - 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    for place, run in enumerate(runs):
        start = edges[run[0]] if place == 0 else edges[run[0] - 1]
        stop = edges[runs[place + 1][0] - 1] if place + 1 < len(runs) else edges[count]
        times += [start + (stop - start) * k // len(run) for k in range(len(run))]
    return times


def field_rows(shot: Shot, top_first: bool, both: bool, pts: Sequence[int], end: int) -> list[tuple[int, Row]]:
    """Deinterlacing: (pts in quarter ticks, row) of every frame of a shot, one or two for each source frame."""
    result: list[tuple[int, Row]] = []
    order = (How.TOP, How.BOTTOM) if top_first else (How.BOTTOM, How.TOP)
    edges = [*pts, end]
    for n in range(len(shot)):
        number = shot.start + n
        for k, how in enumerate(order if both else order[:1]):
            time = PARTS * edges[n] + k * PARTS * (edges[n + 1] - edges[n]) // 2
            result.append((time, (number, how, number, number, shot.start, shot.end)))
    return result


def woven_rows(shot: Shot, pts: Sequence[int]) -> list[tuple[int, Row]]:
    """Frames left as they are."""
    numbers = range(shot.start, shot.end)
    return [(PARTS * time, (n, How.WEAVE, n, n, shot.start, shot.end)) for n, time in zip(numbers, pts, strict=True)]
