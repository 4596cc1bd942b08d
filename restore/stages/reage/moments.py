"""Where the actor is to be seen at their best: what a choice between versions is made by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from restore.errors import SourceError
from restore.frames import Shot
from restore.pipeline.contract import Values
from restore.stages.reage.alignment import similarities

Array = npt.NDArray[np.float64]

_SPAN = 4.6
"""Side of what is shown, in eye distances: the head, with a little room."""
_DOWN = 0.35
"""From between the eyes to the middle of what is shown, in eye distances."""


@dataclass(frozen=True)
class Seen:
    """The actor in one frame."""

    frame: int
    quality: float
    square: tuple[float, float, float]
    """x, y of the upper left corner, and side, in pixels of the source: the head, upright."""


def seen(shots: Sequence[Shot], told: Mapping[int, Values], aspect: float = 1.0) -> list[Seen]:
    """Every frame in which the actor's face is changed, in order; the best face of each."""
    found: dict[int, Seen] = {}
    for shot in shots:
        values = told[shot.number]
        for number in values.get("actor", []):
            first = shot.start + int(values["faces"][number]["frames"][0])
            rows = np.asarray(values["arrays"][f"face-{number}"], np.float64)
            places = similarities(rows[:, 4:14].reshape(-1, 5, 2), aspect)
            quality = rows[:, 0] * rows[:, 1] * (0.3 + 0.7 * rows[:, 2]) * rows[:, 3]
            for frame, (x, y, cosine, sine), good, weight in zip(
                range(first, first + len(rows)), places, quality, rows[:, 0], strict=True
            ):
                if weight <= 0 or (frame in found and found[frame].quality >= good):
                    continue
                distance = float(np.hypot(cosine, sine))
                side = _SPAN * distance
                square = (float(x / aspect - side / aspect / 2), float(y + _DOWN * distance - side / 2), side)
                found[frame] = Seen(frame, float(good), square)
    return [found[frame] for frame in sorted(found)]


def best(frames: Sequence[Seen], count: int) -> list[Seen]:
    """The best of each of `count` equal parts of the actor's time. Raises SourceError where there is none."""
    if not frames:
        raise SourceError("the actor's face is nowhere seen well enough to be changed; there is nothing to compare")
    parts = np.array_split(np.arange(len(frames)), min(count, len(frames)))
    return [max((frames[n] for n in part), key=lambda one: one.quality) for part in parts]
