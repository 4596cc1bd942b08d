"""Numbers that may change over time: ``30``, or keyframes ``0:00=30,0:02=60``. Imports no torch."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction

from restore.errors import OptionError
from restore.times import parse_time

_ANY_RATE = Fraction(120000, 1001)


@dataclass(frozen=True)
class Keyed:
    """A number, or several at times from the first frame, straight lines between them."""

    keys: tuple[tuple[str, float], ...]
    """(time as written, value); a single number has the time ``0``."""

    @classmethod
    def parse(cls, text: str | float | int, least: float, most: float, what: str) -> Keyed:
        """Read it. Raises OptionError if it is neither form, or a value is not within [least, most]."""
        pieces = [piece.strip() for piece in str(text).split(",") if piece.strip()]
        keyed = [piece.partition("=") for piece in pieces]
        if len(keyed) == 1 and not keyed[0][1]:
            keyed = [("0", "=", keyed[0][0])]
        if not keyed or not all(sign for _, sign, _ in keyed):
            raise OptionError(f"{text!r}: write a number, or keyframes like 0:00={least:g},0:02={most:g}")
        keys = tuple((time.strip(), _number(value, least, most, what)) for time, _, value in keyed)
        times = [parse_time(time, _ANY_RATE) for time, _ in keys]
        if sorted(set(times)) != times:
            raise OptionError(f"{text!r}: keyframes stand in the order of their times, each time once")
        return cls(keys)

    def at(self, seconds: Fraction | float, rate: Fraction) -> float:
        """The value at a time; before the first keyframe its value, after the last its."""
        times = [float(parse_time(time, rate)) for time, _ in self.keys]
        place = bisect_right(times, float(seconds))
        if place == 0 or place == len(times):
            return self.keys[min(place, len(times) - 1)][1]
        (before, first), (after, second) = [(times[n], self.keys[n][1]) for n in (place - 1, place)]
        return first + (second - first) * (float(seconds) - before) / (after - before)

    @property
    def is_nought(self) -> bool:
        """Whether it is 0 at all times."""
        return all(value == 0 for _, value in self.keys)


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise OptionError(f"{text!r} is not {what}: write a number") from None
    if not math.isfinite(value) or not least <= value <= most:
        raise OptionError(f"{text.strip()}: {what} lies between {least:g} and {most:g}")
    return value
