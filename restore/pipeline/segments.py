"""Segments: the unit of work, of resuming, and of what an edit makes stale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restore.frames import Shot

SHORTEST = 48
LONGEST = 192


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames [start, end) of the film, rendered and encoded as one closed piece."""

    number: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def cut_segments(shots: Sequence[Shot], shortest: int = SHORTEST, longest: int = LONGEST) -> list[Segment]:
    """Cut a film into pieces of at least `shortest` frames, at the first cut that is far enough from the last.

    A stretch without such a cut of more than `longest` frames is split evenly; only a film shorter than `shortest`
    gives a shorter piece. A cut added or taken away moves the pieces around it and soon none after.
    """
    pieces: list[int] = []
    pending = 0
    for shot in shots:
        if pending >= shortest:
            pieces.append(pending)
            pending = 0
        length = pending + len(shot)
        if length > longest:
            parts = -(-length // longest)
            sizes = [length // parts + (part < length % parts) for part in range(parts)]
            pieces.extend(sizes[:-1])
            pending = sizes[-1]
        else:
            pending = length
    if pending:
        if pending < shortest and pieces:
            pieces[-1] += pending
        else:
            pieces.append(pending)
    segments, start = [], 0
    for number, size in enumerate(pieces):
        segments.append(Segment(number, start, start + size))
        start += size
    return segments


def clip_segments(segments: Sequence[Segment], first: int, stop: int, shortest: int = SHORTEST) -> list[Segment]:
    """The part of the segments inside frames [first, stop); slivers join their neighbour."""
    pieces = [(max(first, seg.start), min(stop, seg.end)) for seg in segments if seg.start < stop and seg.end > first]
    if len(pieces) > 1 and pieces[0][1] - pieces[0][0] < shortest:
        pieces[:2] = [(pieces[0][0], pieces[1][1])]
    if len(pieces) > 1 and pieces[-1][1] - pieces[-1][0] < shortest:
        pieces[-2:] = [(pieces[-2][0], pieces[-1][1])]
    return [Segment(number, start, end) for number, (start, end) in enumerate(pieces)]


def digest(value: Mapping[str, Any]) -> str:
    """sha256 of a JSON value in canonical form; arrays of the plan count by their own digest."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=lambda x: x.digest)
    return hashlib.sha256(text.encode()).hexdigest()
