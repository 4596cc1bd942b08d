"""Times as people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.errors import OptionError
from restore.times import format_duration, format_time, frame_number, parse_time

FILM, NTSC, VIDEO = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25)


@pytest.mark.parametrize(
    ("text", "rate", "seconds"),
    [
        ("83.5", VIDEO, Fraction(167, 2)),
        (83.5, VIDEO, Fraction(167, 2)),
        (7, VIDEO, Fraction(7)),
        ("1:23.5", VIDEO, Fraction(167, 2)),
        ("1:01:23.5", VIDEO, Fraction(7367, 2)),
        ("00:01:23:12", VIDEO, 83 + Fraction(12, 25)),
        ("2004f", FILM, 2004 / FILM),
        # Timecode counts frames: an hour of it is 3.6 s longer than an hour at 23.976.
        ("01:00:00:00", FILM, 86400 / FILM),
        ("00:01:23:12", FILM, 2004 / FILM),
        # Drop-frame skips the numbers 0 and 1 of every minute but each tenth (SMPTE ST 12): near the clock's time.
        ("00:01:00;02", NTSC, 1800 / NTSC),
        ("00:10:00;00", NTSC, 17982 / NTSC),
        ("01:00:00;00", NTSC, 107892 / NTSC),
        ("01:00:00;00", 2 * NTSC, 215784 / (2 * NTSC)),
        (" 5 ", VIDEO, Fraction(5)),
        ("0.1", VIDEO, Fraction(1, 10)),
    ],
)
def test_times(text: str | float, rate: Fraction, seconds: Fraction) -> None:
    assert parse_time(text, rate) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-1", "1:2:3:4:5", "1:99:00:00", "00:00:00:25", "00:00:01;00", "12 f", "f", "1e3", "nan", "²", "0x10"],
)
def test_no_times(text: str) -> None:
    with pytest.raises(OptionError):
        parse_time(text, VIDEO)


@given(st.integers(0, 10**7), st.sampled_from([FILM, NTSC, VIDEO, Fraction(60)]))
def test_frames_are_exact(number: int, rate: Fraction) -> None:
    assert parse_time(f"{number}f", rate) * rate == number
    assert frame_number(f"{number}f") == number
    nominal = round(rate)
    second, rest = divmod(number, nominal)
    code = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}:{rest:02d}"
    assert parse_time(code, rate) * rate == number


@given(st.integers(0, 359_999_999))
def test_what_is_shown_can_be_typed(milliseconds: int) -> None:
    shown = format_time(Fraction(milliseconds, 1000))
    assert parse_time(shown, VIDEO) == Fraction(milliseconds, 1000)


def test_words() -> None:
    assert format_time(Fraction(-1, 2)) == "-0:00:00.500"
    assert [format_duration(s) for s in (4.4, 200, 7500)] == ["4 s", "3 min 20 s", "2 h 05 min"]
    assert frame_number("12") is None
