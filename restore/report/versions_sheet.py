"""The contact sheet of versions: a picture, and a page that holds everything."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from restore.files import whole, write_text
from restore.pipeline.stills import Rgb
from restore.report.page import clock, document, jpeg

SIDE = 320
"""Pixels of a still's side."""
_GAP, _LINE = 12, 26
_PAPER, _INK, _SOFT, _BAR = (24, 24, 26), (236, 234, 228), (163, 160, 154), (240, 160, 106)
_LARGEST_CLIP = 4 << 20
"""Bytes up to which a clip is put into the page; a larger one lies beside it."""


@dataclass(frozen=True)
class Column:
    """One moment."""

    time: Fraction
    """From the first frame, seconds."""
    quality: float


@dataclass(frozen=True)
class VersionRow:
    """One version at every moment; the source, without a number, is the first."""

    number: int | None
    label: str
    stills: tuple[Rgb, ...]
    clip: Path | None = None

    @property
    def title(self) -> str:
        """Number and label."""
        return self.label if self.number is None else f"{self.number}  {self.label}"


def cropped(rgb: torch.Tensor, square: tuple[float, float, float], aspect: float = 1.0) -> Rgb:
    """(SIDE, SIDE, 3) of a (3, H, W) picture: what lies in a square, given by its x, y and side in pixels; `aspect` is
    of the pixels, and x is counted in them. What lies outside the picture is dark."""
    x, y, side = square
    picture = rgb.permute(1, 2, 0).clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    reach = max(2, round(side))
    wide = max(2, round(side / aspect))
    left, top = round(x), round(y)
    edge = max(0, -left, -top, left + wide - picture.shape[1], top + reach - picture.shape[0])
    padded = cv2.copyMakeBorder(picture, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=_PAPER)
    cut = padded[top + edge : top + edge + reach, left + edge : left + edge + wide]
    way = cv2.INTER_AREA if reach > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, (SIDE, SIDE), interpolation=way), np.uint8)


def write_sheet(
    rows: Sequence[VersionRow], columns: Sequence[Column], title: str, source: str, picture: Path, page: Path
) -> None:
    """Write the sheet as PNG and as a page, each whole or not at all. Raises OSError."""
    with whole(picture) as file:
        file.write(_png(rows, columns, title))
    write_text(page, _html(rows, columns, title, source, page.parent), errors="replace")


def _png(rows: Sequence[VersionRow], columns: Sequence[Column], title: str) -> bytes:
    width = max(_GAP + len(columns) * (SIDE + _GAP), 560)
    head, tall = 3 * _LINE, SIDE + _LINE + _GAP
    image = Image.new("RGB", (width, head + len(rows) * tall), _PAPER)
    draw = ImageDraw.Draw(image)
    large, plain, small = (ImageFont.load_default(size) for size in (20, 17, 13))
    draw.text((_GAP, _GAP), title, _INK, large)
    for place, column in enumerate(columns):
        draw.text((_GAP + place * (SIDE + _GAP), 2 * _LINE), clock(column.time), _SOFT, small)
    for place, row in enumerate(rows):
        top = head + place * tall
        draw.text((_GAP, top), row.title, _SOFT if row.number is None else _BAR, plain)
        for column_place, still in enumerate(row.stills):
            image.paste(Image.fromarray(still), (_GAP + column_place * (SIDE + _GAP), top + _LINE))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def _html(rows: Sequence[VersionRow], columns: Sequence[Column], title: str, source: str, folder: Path) -> str:
    """Each version beside the source: a slider on every still goes from the version to what the film shows."""
    before = rows[0]
    body = (
        f"<header><h1>{escape(title)}</h1><p class=small>{len(rows) - 1} versions at {len(columns)} moments. Drag "
        "across a still to see the source. Choose one with <code>restore versions pick NUMBER</code>.</p></header>"
    )
    for row in rows[1:]:
        stills = "".join(
            f'<figure class="pair" style="--at:0%"><div class="both" style="aspect-ratio:1">'
            f'<img class="after" alt="version {row.number} at {clock(column.time)}" src="{jpeg(still, 92)}">'
            f'<img class="before" alt="source at {clock(column.time)}" src="{jpeg(was, 92)}"><div class="line"></div>'
            f'<input type="range" min="0" max="100" value="0" step="0.1" aria-label="version {row.number} to source">'
            f"</div><figcaption>{clock(column.time)}</figcaption></figure>"
            for column, still, was in zip(columns, row.stills, before.stills, strict=True)
        )
        command = f"restore reage {source} OUTPUT --version {row.number}"
        body += (
            f'<section id="version-{row.number}"><h2>{row.number}. {escape(row.label)}</h2>'
            f'<div class="versions">{stills}{_video(row, folder)}</div>'
            f'<p class="small"><code>{escape(command)}</code></p></section>'
        )
    if before.clip is not None:
        body += f'<section><h2>source</h2><div class="versions">{_video(before, folder)}</div></section>'
    return document(title, body)


def _video(row: VersionRow, folder: Path) -> str:
    if row.clip is None:
        return ""
    data = row.clip.read_bytes()
    if len(data) > _LARGEST_CLIP:
        return f"<p>{escape(str(row.clip.relative_to(folder)))}</p>"
    address = "data:video/mp4;base64," + base64.b64encode(data).decode("ascii")
    return f'<video controls loop muted playsinline preload="metadata" width="{SIDE}" src="{address}"></video>'
