"""The contact sheet of a film's people: a picture, and a page that holds everything."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from restore.files import whole, write_text
from restore.pipeline.stills import Rgb
from restore.report.page import clock, document, jpeg

SIDE = 176
"""Pixels of a portrait's side."""
_GAP, _LINE = 12, 24
_PAPER, _INK, _SOFT, _BAR = (24, 24, 26), (236, 234, 228), (163, 160, 154), (240, 160, 106)


@dataclass(frozen=True)
class Portrait:
    """A face at one moment."""

    picture: Rgb
    time: Fraction
    quality: float


@dataclass(frozen=True)
class Appearance:
    """One stretch in which a person is followed."""

    track: int
    start: Fraction
    end: Fraction
    width: float
    """Pixels, in the median."""
    quality: float
    seen: float
    """Share of its frames in which a detector found the face."""


@dataclass(frozen=True)
class Row:
    """One person."""

    number: int
    name: str
    appearances: tuple[Appearance, ...]
    portraits: tuple[Portrait, ...]

    @property
    def quality(self) -> float:
        """Mean over their time on screen."""
        lengths = [float(found.end - found.start) or 1e-3 for found in self.appearances]
        return float(np.average([found.quality for found in self.appearances], weights=lengths))

    @property
    def says(self) -> str:
        """A line about them."""
        total = sum((found.end - found.start for found in self.appearances), Fraction(0))
        widths = sorted(round(found.width) for found in self.appearances)
        size = f"{widths[0]}" if widths[0] == widths[-1] else f"{widths[0]} to {widths[-1]}"
        stretches = "one stretch" if len(self.appearances) == 1 else f"{len(self.appearances)} stretches"
        seen = f"quality {self.quality:.2f} ({word(self.quality)})"
        return f"{float(total):.1f} s in {stretches}, {size} pixels wide, {seen}"


def word(quality: float) -> str:
    """A quality, 0 to 1, for people."""
    return "good" if quality >= 0.55 else "fair" if quality >= 0.3 else "poor"


def portrait(picture: Rgb, box: Sequence[float]) -> Rgb:
    """(SIDE, SIDE, 3): a face with room around it; what lies outside the picture is dark."""
    x, y, width, height = box
    side = 1.6 * max(width, height)
    scale = SIDE / side
    matrix = np.array([
        (scale, 0, SIDE / 2 - scale * (x + width / 2)), (0, scale, SIDE / 2 - scale * (y + height / 2))
    ])  # fmt: skip
    if scale < 0.5:  # averaged first, or fine detail would shimmer
        reach = int(side)
        left, top = int(x + width / 2 - reach / 2), int(y + height / 2 - reach / 2)
        padded = cv2.copyMakeBorder(picture, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=_PAPER)
        cut = padded[top + reach : top + 2 * reach, left + reach : left + 2 * reach]
        return np.asarray(cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    drawn = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderValue=_PAPER)
    return np.asarray(drawn, np.uint8)


def write_sheet(rows: Sequence[Row], title: str, note: str, picture: Path, page: Path) -> None:
    """Write the sheet as PNG and as a page, each whole or not at all. Raises OSError."""
    with whole(picture) as file:
        file.write(_png(rows, title, note))
    write_text(page, _html(rows, title, note), errors="replace")


def _png(rows: Sequence[Row], title: str, note: str) -> bytes:
    columns = max(4, *(len(row.portraits) for row in rows))
    width = _GAP + columns * (SIDE + _GAP)
    tall = SIDE + 3 * _LINE + 2 * _GAP
    image = Image.new("RGB", (width, 3 * _LINE + len(rows) * tall), _PAPER)
    draw = ImageDraw.Draw(image)
    large, plain, small = (ImageFont.load_default(size) for size in (20, 16, 13))
    draw.text((_GAP, _GAP), title, _INK, large)
    draw.text((_GAP, _GAP + _LINE + 4), note, _SOFT, small)
    for place, row in enumerate(rows):
        top = 3 * _LINE + place * tall
        draw.text((_GAP, top), f"{row.number}  {row.name}", _BAR, plain)
        draw.text((_GAP, top + _LINE), row.says, _SOFT, small)
        for column, found in enumerate(row.portraits):
            left, upper = _GAP + column * (SIDE + _GAP), top + 2 * _LINE
            image.paste(Image.fromarray(found.picture), (left, upper))
            draw.text((left, upper + SIDE + 4), clock(found.time), _INK, small)
            draw.text((left + SIDE, upper + SIDE + 4), f"{found.quality:.2f}", _SOFT, small, anchor="ra")
            draw.rectangle((left, upper + SIDE, left + round(SIDE * found.quality), upper + SIDE + 2), _BAR)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def _html(rows: Sequence[Row], title: str, note: str) -> str:
    body = f"<header><h1>{escape(title)}</h1><p class=small>{escape(note)}</p></header>"
    for row in rows:
        stills = "".join(
            f'<figure><img alt="{escape(row.name)} at {clock(found.time)}" width="{SIDE}" height="{SIDE}" '
            f'src="{jpeg(found.picture)}"><figcaption>{clock(found.time)}, quality {found.quality:.2f}'
            "</figcaption></figure>"
            for found in row.portraits
        )
        lines = "".join(
            f"<tr><td>{found.track}</td><td>{clock(found.start)}</td><td>{clock(found.end)}</td>"
            f'<td class="number">{found.width:.0f}</td><td class="number">{found.quality:.2f}</td>'
            f'<td class="number">{100 * found.seen:.0f} %</td></tr>'
            for found in row.appearances
        )
        body += (
            f'<section id="person-{row.number}"><h2>{row.number}. {escape(row.name)}</h2><p>{escape(row.says)}</p>'
            f'<div class="people">{stills}</div><div class="scroll"><table><tr><th>track</th><th>from</th><th>to</th>'
            f'<th class="number">width, pixels</th><th class="number">quality</th><th class="number">found by the '
            f"detector</th></tr>{lines}</table></div></section>"
        )
    return document(title, body)
