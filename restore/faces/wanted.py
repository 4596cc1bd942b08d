"""Whose face is asked for, as people say it. Imports nothing heavy: options are checked by it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from restore.errors import OptionError
from restore.times import parse_time

_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"})
_PLACE = re.compile(r"(?P<time>.+)@(?P<x>\d+(?:\.\d+)?),(?P<y>\d+(?:\.\d+)?)")
_ANY_RATE = Fraction(120000, 1001)


@dataclass(frozen=True)
class Place:
    """A point of the picture at a time."""

    time: str
    """From the first frame, as `restore.times.parse_time` takes it."""
    x: float
    y: float
    """Pixels of the source, from its upper left corner."""

    def __str__(self) -> str:
        return f"{self.time}@{self.x:g},{self.y:g}"


@dataclass(frozen=True)
class Wanted:
    """Whose face is asked for. Several numbers or names are one person's, who was found several times."""

    called: tuple[str, ...] = ()
    """Numbers and names."""
    photo: Path | None = None
    place: Place | None = None

    def check(self) -> None:
        """Raise OptionError if a photograph that is named is not there."""
        if self.photo is not None and not self.photo.is_file():
            raise OptionError(f"--actor {self.photo}: no such picture")

    @classmethod
    def parse(cls, actor: str | None, at: str | None) -> Wanted:
        """What was said: `actor` is a number, a name, several with commas between, or a picture's path; `at` is
        ``TIME@X,Y``. Raises OptionError."""
        if actor is not None and at is not None:
            raise OptionError("give --actor or --at, not both: each says whose face is meant")
        if at is not None:
            match = _PLACE.fullmatch(at.strip())
            if match is None:
                raise OptionError(f"--at {at}: write TIME@X,Y, for example 00:00:05@640,220")
            parse_time(match["time"], _ANY_RATE)  # only its form counts here
            return cls(place=Place(match["time"], float(match["x"]), float(match["y"])))
        if actor is None:
            return cls()
        path = Path(actor).expanduser()
        if path.suffix.lower() in _PHOTOS:
            return cls(photo=path)
        called = tuple(part.strip() for part in actor.split(","))
        if not all(called):
            raise OptionError(f"--actor {actor!r}: write a number or name of `restore faces`, or a photograph's path")
        return cls(called)
