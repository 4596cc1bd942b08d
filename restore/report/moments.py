"""Which moments of a film are worth showing: a few stills from every part, and where most and typically changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from restore.report.film import Film, Rgb

_LOOKS = 20
"""Moments that are compared to choose from."""
_SHOWN = 3
"""Pairs shown of each kind."""
_STRIP = 5
"""Stills of a shot's strip."""
_SHOTS = 24
"""Shots with a strip; of more, the longest."""
_WIDEST = 960
_THUMB = 144


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


def shown_size(film: Film, widest: int = _WIDEST) -> tuple[int, int]:
    """The size pairs are shown in."""
    width, height = film.size
    scale = min(1.0, widest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def choose(before: Film, after: Film, shots: Sequence[tuple[Fraction, Fraction]], offset: Fraction) -> Moments:
    """Pairs and strips of a source and what became of it.

    Args:
        before, after: the two films; moments are matched by their times.
        shots: (start, end) in seconds from the first frame of `after`.
        offset: where the first frame of `after` lies in `before`, in seconds from its first frame.
    """
    size = shown_size(after)
    right = dict(after.stills([after.at(time) for time in _times(after, shots)], size))
    places = {number: before.at(after.time(number) + offset) for number in right}
    left = dict(before.stills(list(places.values()), size))
    pairs = [
        Pair(after.time(number), "", left[places[number]], picture, _change(left[places[number]], picture))
        for number, picture in right.items()
        if places[number] in left
    ]
    return Moments(tuple(_chosen(pairs)), tuple(_strips(after, shots)), tuple(pairs))


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


def _strips(film: Film, shots: Sequence[tuple[Fraction, Fraction]]) -> list[Strip]:
    size = shown_size(film, _THUMB)
    longest = sorted(enumerate(shots, 1), key=lambda shot: shot[1][0] - shot[1][1])[:_SHOTS]
    strips = []
    for number, (start, end) in sorted(longest):
        first = film.at(start)
        span = range(first, max(first + 1, film.at(end)))
        stills = min(_STRIP, len(span))
        wanted = [span[len(span) * (2 * n + 1) // (2 * stills)] for n in range(stills)]
        strips.append(Strip(number, start, end, tuple(still for _, still in film.stills(wanted, size))))
    return strips
