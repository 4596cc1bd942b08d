"""Which moments of a film are worth showing: a few stills from every part, and where most and typically changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from restore.pipeline.stills import STRIP, THUMB, Kept, Repaired, Rgb, Worst, shown_size
from restore.report.film import Film

_LOOKS = 20
"""Moments that are compared to choose from."""
_SHOWN = 3
"""Pairs shown of each kind."""
_SHOTS = 24
"""Shots with a strip; of more, the longest."""
_INSTANT = Fraction(1, 1000)
"""A shot of one frame at the end of a film has no length."""
_REPAIRS = 3
"""Frames shown of what each stage repaired."""


@dataclass(frozen=True)
class Pair:
    """One moment, before and after, at the same size."""

    time: Fraction
    kind: str
    """Why it is shown: ``most changed`` or ``typical``."""
    before: Rgb
    after: Rgb
    change: float
    """Mean absolute difference, of 255."""


@dataclass(frozen=True)
class Strip:
    """One shot in a few stills."""

    number: int
    start: Fraction
    end: Fraction
    stills: tuple[Rgb, ...]


@dataclass(frozen=True)
class Moments:
    """What of two films is shown."""

    pairs: tuple[Pair, ...]
    strips: tuple[Strip, ...]
    compared: tuple[Pair, ...] = ()
    """Every pair that was compared, in order of time: what is measured."""


@dataclass(frozen=True)
class Repairs:
    """What one stage repaired of a film."""

    stage: str
    mean: float
    """Share of the picture, 0 to 1, over all frames."""
    most: float
    """Of the frame with most."""
    frames: int
    """In how many frames anything was repaired."""
    worst: tuple[Worst, ...]
    """From different segments, the worst first."""


def choose(before: Film, after: Film, shots: Sequence[tuple[Fraction, Fraction]], offset: Fraction) -> Moments:
    """Pairs and strips of a source and what became of it.

    Args:
        before, after: the two films; moments are matched by their times.
        shots: (start, end) in seconds from the first frame of `after`.
        offset: where the first frame of `after` lies in `before`, in seconds from its first frame.
    """
    size = shown_size(after.format)
    right = dict(after.stills([after.at(time) for time in _times(after, shots)], size))
    places = {number: before.at(after.time(number) + offset) for number in right}
    left = dict(before.stills(list(places.values()), size))
    pairs = [
        Pair(after.time(number), "", left[places[number]], picture, _change(left[places[number]], picture))
        for number, picture in right.items()
        if places[number] in left
    ]
    return Moments(tuple(_chosen(pairs)), tuple(_strips(after, shots)), tuple(pairs))


def kept_moments(kept: Kept, shots: Sequence[tuple[Fraction, Fraction]], begins: Fraction) -> Moments | None:
    """The same of stills that were kept while rendering, decoding nothing; None if there are none of this output.

    Args:
        kept: what was kept.
        shots: as `choose` takes them.
        begins: where the first frame of the output lies in the film, in seconds.
    """
    end = shots[-1][1] if shots else Fraction(0)
    pairs = []
    for before, after in kept.pairs():
        time = Fraction(after.seconds).limit_denominator(1_000_000) - begins
        if 0 <= time <= end and before.picture.shape == after.picture.shape:
            pairs.append(Pair(time, "", before.picture, after.picture, _change(before.picture, after.picture)))
    if not pairs:
        return None
    thumbs = [(Fraction(still.seconds) - begins, still.picture) for still in kept.strips()]
    strips = []
    for number, (start, stop) in _longest(shots):
        stills = tuple(picture for time, picture in thumbs if start <= time < max(stop, start + _INSTANT))
        if stills:
            strips.append(Strip(number, start, stop, stills))
    return Moments(tuple(_chosen(pairs)), tuple(strips), tuple(pairs))


def kept_repairs(kept: Kept) -> list[Repairs]:
    """What stages that repair parts of the picture did."""
    found: dict[str, list[Repaired]] = {}
    for repaired in kept.repaired():
        light = repaired.worst if repaired.shares.max(initial=0) >= _nth(found.get(repaired.stage, [])) else None
        found.setdefault(repaired.stage, []).append(replace(repaired, worst=light))
    repairs = []
    for stage, parts in found.items():
        shares = np.concatenate([part.shares for part in parts])
        shown = sorted((part for part in parts if part.worst), key=lambda part: -float(part.shares.max()))[:_REPAIRS]
        worst = tuple(part.worst for part in shown if part.worst is not None)
        count = int((shares > 0).sum())
        repairs.append(Repairs(stage, float(shares.mean()), float(shares.max()), count, worst))
    return repairs


def _nth(parts: Sequence[Repaired]) -> float:
    """What share a frame must have to be among those that are shown; pictures of others need not be remembered."""
    highest = sorted((float(part.shares.max()) for part in parts if part.worst is not None), reverse=True)
    return highest[_REPAIRS - 1] if len(highest) >= _REPAIRS else 0.0


def _change(before: Rgb, after: Rgb) -> float:
    return float(np.abs(after.astype(np.int16) - before).mean())


def _times(film: Film, shots: Sequence[tuple[Fraction, Fraction]]) -> list[Fraction]:
    """The middles of the longest shots, and of equal parts of the film."""
    longest = sorted(shots, key=lambda shot: shot[0] - shot[1])[: _LOOKS // 2]
    length = film.time(len(film) - 1)
    spread = [length * Fraction(2 * part + 1, _LOOKS) for part in range(_LOOKS // 2)]
    return sorted({(start + end) / 2 for start, end in longest} | set(spread))


def _chosen(pairs: Sequence[Pair]) -> list[Pair]:
    ordered = sorted(pairs, key=lambda pair: pair.change)
    most = ordered[max(0, len(ordered) - _SHOWN) :]
    rest = ordered[: len(ordered) - len(most)]
    middle = max(0, (len(rest) - _SHOWN) // 2)
    typical = rest[middle : middle + _SHOWN]
    return [replace(pair, kind="most changed") for pair in most[::-1]] + [
        replace(pair, kind="typical") for pair in typical
    ]


def _longest(shots: Sequence[tuple[Fraction, Fraction]]) -> list[tuple[int, tuple[Fraction, Fraction]]]:
    """The shots that get a strip, with their numbers, in order."""
    return sorted(sorted(enumerate(shots, 1), key=lambda shot: shot[1][0] - shot[1][1])[:_SHOTS])


def _strips(film: Film, shots: Sequence[tuple[Fraction, Fraction]]) -> list[Strip]:
    size = shown_size(film.format, THUMB)
    strips = []
    for number, (start, end) in _longest(shots):
        first = film.at(start)
        span = range(first, max(first + 1, film.at(end)))
        stills = min(STRIP, len(span))
        wanted = [span[len(span) * (2 * n + 1) // (2 * stills)] for n in range(stills)]
        strips.append(Strip(number, start, end, tuple(still for _, still in film.stills(wanted, size))))
    return strips
