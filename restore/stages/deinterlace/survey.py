"""What fields a film holds, from a few stretches of it: what `probe` reports, and what it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from restore.frames import Frame, VideoFormat
from restore.stages.deinterlace.analysis import Evidence, evidence, first_field, judge, measure

STRETCHES = 8
LENGTH = 40
"""Frames looked at in each: eight cycles of a telecine."""
_LONG = Fraction(5, 4)
"""A frame shown so much longer than its neighbour: soft telecine shows every second one for three fields."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A few frames one after another, and what they are."""

    time: Fraction
    """Of the first, in seconds of the film's clock."""
    kind: str
    """``progressive``, ``interlaced``, ``hard 2:3``, ``soft 2:3`` or ``still``: nothing moves that could tell."""
    evidence: Evidence
    uneven: int
    """Pairs of neighbours of which one is shown for three fields and one for two."""


@dataclass(frozen=True, slots=True)
class FieldSurvey:
    """What fields a film holds, as far as was looked."""

    kind: str
    """``progressive``, ``interlaced``, ``hard 2:3``, ``soft 2:3``, ``mixed``, or ``unknown`` where nothing moves."""
    field_order: str | None
    """``tff`` or ``bff``; None where no fields were found."""
    why: str
    stretches: tuple[Stretch, ...]

    def as_json(self) -> dict[str, object]:
        """Verdict and counts as JSON values."""
        return {
            "kind": self.kind,
            "field_order": self.field_order,
            "why": self.why,
            "stretches": [
                {"time": round(float(s.time), 3), "kind": s.kind, **s.evidence.as_json(), "uneven_pairs": s.uneven}
                for s in self.stretches
            ],
        }


def survey(stretches: Sequence[Sequence[Frame]], format: VideoFormat, declared: str) -> FieldSurvey:
    """Judge stretches of a film.

    Args:
        stretches: runs of frames in order, a few of each.
        format: of the frames.
        declared: the field order that the container states: ``progressive``, ``tff``, ``bff`` or ``unknown``.
    """
    watched = [list(frames) for frames in stretches if frames]
    measured = [measure(frames, format) for frames in watched]
    top_first = first_field(measured, declared)
    found = []
    for frames, fields in zip(watched, measured, strict=True):
        counts, uneven = evidence(fields, top_first), _uneven([frame.pts for frame in frames])
        kind = {"telecine": "hard 2:3"}.get(verdict := judge(fields, top_first).kind, verdict)
        if kind == "progressive" and len(frames) > 4 and uneven > 0.8 * (len(frames) - 2):
            kind = "soft 2:3"
        elif kind == "progressive" and not counts.moving:
            kind = "still"
        found.append(Stretch(frames[0].pts * format.time_base, kind, counts, uneven))
    return _summed(found, top_first)


def _uneven(pts: Sequence[int]) -> int:
    """Pairs of neighbours shown for three fields and for two, in turn."""
    steps = np.diff(np.asarray(pts, np.float64))
    longer = np.maximum(steps[:-1], steps[1:]) / np.maximum(np.minimum(steps[:-1], steps[1:]), 1e-9)
    return int(((longer > float(_LONG)) & (longer < 2 / float(_LONG))).sum())


def _summed(stretches: Sequence[Stretch], top_first: bool) -> FieldSurvey:
    kinds = Counter(stretch.kind for stretch in stretches if stretch.kind != "still")
    kind = "unknown" if not kinds else next(iter(kinds)) if len(kinds) == 1 else "mixed"
    total = sum((stretch.evidence for stretch in stretches), Evidence())
    places = f"{total.frames} frames in {len(stretches)} place{'s' * (len(stretches) != 1)}"
    combed = f"{total.combed} of {total.moving} moving frames are combed"
    if kind == "unknown":
        why = f"nothing moves in {places}"
    elif kind == "mixed":
        listed = ", ".join(f"{number} {name}" for name, number in kinds.most_common())
        why = f"{combed}; by place: {listed} ({places})"
    elif kind == "hard 2:3":
        why = f"{combed}, {total.mended} of those go with a field before, and one frame in five repeats ({places})"
    elif kind == "soft 2:3":
        uneven = sum(stretch.uneven for stretch in stretches)
        why = f"{combed}, and frames are shown for three fields and two in turn ({uneven} times; {places})"
    else:
        why = f"{combed} ({places})"
    fields = kind in ("interlaced", "hard 2:3") or (kind == "mixed" and total.combed > 0)
    return FieldSurvey(kind, ("tff" if top_first else "bff") if fields else None, why, tuple(stretches))
