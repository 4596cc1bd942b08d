"""Times as people write them: seconds, timecodes, frame counts. Always exact fractions of a second."""

from __future__ import annotations

import re
from fractions import Fraction

from restore.errors import OptionError

_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)")
_FRAMES = re.compile(r"(\d+)f")
_TIMECODE = re.compile(r"(\d+):(\d{2}):(\d{2})([:;])(\d{2,3})")


def parse_time(text: str | float | int, rate: Fraction) -> Fraction:
    """Seconds from the first frame: ``83.5``, ``1:23.5``, ``00:01:23:12`` (timecode) or ``2004f`` (frames).

    A timecode counts frames, as SMPTE ST 12 has it: 24 to its second at 23.976 frames a second; ``00:01:23;12`` is
    drop-frame (29.97 and 59.94). Raises OptionError for anything else.
    """
    if isinstance(text, int | float):
        text = str(text)
    text = text.strip()
    if match := _TIMECODE.fullmatch(text):
        return _timecode_frames(text, match, rate) / rate
    if match := _FRAMES.fullmatch(text):
        return int(match[1]) / rate
    if match := _CLOCK.fullmatch(text):
        return (int(match[1] or 0) * 60 + int(match[2] or 0)) * 60 + Fraction(match[3])
    raise OptionError(f"{text!r} is not a time: write seconds (83.5), 1:23.5, 00:01:23:12 or frames (2004f)")


def _timecode_frames(text: str, match: re.Match[str], rate: Fraction) -> int:
    hours, minutes, whole, frames = (int(match[place]) for place in (1, 2, 3, 5))
    nominal = max(1, round(rate))
    if minutes > 59 or whole > 59 or frames >= nominal:
        raise OptionError(f"{text!r} is not a timecode at {nominal} frames a second")
    count = ((hours * 60 + minutes) * 60 + whole) * nominal + frames
    if match[4] == ":":
        return count
    if nominal % 30 or rate.denominator == 1:
        raise OptionError(f"{text!r}: drop-frame timecode is for 29.97 and 59.94 frames a second; write it with colons")
    passed = hours * 60 + minutes
    return count - nominal // 15 * (passed - passed // 10)


def frame_number(text: str | float | int) -> int | None:
    """The frame that ``2004f`` names; None for times in other forms."""
    match = _FRAMES.fullmatch(str(text).strip())
    return int(match[1]) if match else None


def format_time(value: Fraction | float) -> str:
    """``h:mm:ss.mmm`` for people."""
    total = round(float(value) * 1000)
    sign, total = ("-" if total < 0 else ""), abs(total)
    return f"{sign}{total // 3600000}:{total // 60000 % 60:02d}:{total // 1000 % 60:02d}.{total % 1000:03d}"


def format_duration(value: float) -> str:
    """A duration for people, coarse: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole // 60 % 60:02d} min"
