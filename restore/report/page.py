"""The page itself: one HTML file that holds everything, and fetches nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from html import escape
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from restore import __version__
from restore.files import whole, write_text
from restore.pipeline.stills import Mask, Rgb
from restore.report.measures import Measured
from restore.report.moments import Moments, Pair, Repairs, Strip
from restore.times import format_time

_LARGEST = 4_800_000
"""Characters of a page that still opens at once, and can be sent by mail."""
_QUALITIES = (85, 75, 60, 40)
"""Of its JPEGs, from the best."""
_POSTER = 160
_MARK = (255, 40, 40)


@dataclass(frozen=True)
class Step:
    """What one stage did."""

    name: str
    options: dict[str, str]
    found: tuple[str, ...] = ()
    """What ailed the film, in words."""
    weights: dict[str, str] = field(default_factory=dict)
    """Networks and the hashes of their tensors."""


@dataclass(frozen=True)
class Page:
    """Everything a report says."""

    title: str
    names: tuple[str, str]
    """How the two films are called: ``source`` and ``restored``."""
    facts: tuple[tuple[str, str], ...]
    moments: Moments
    measured: tuple[Measured, ...]
    steps: tuple[Step, ...] = ()
    plots: tuple[tuple[str, bytes], ...] = ()
    """Captions and PNG files."""
    sounds: tuple[tuple[str, bytes, str], ...] = ()
    """Captions, sound files and their media types."""
    troubles: tuple[str, ...] = ()
    repairs: tuple[Repairs, ...] = ()


def write_page(page: Page, path: Path) -> None:
    """Write a report, whole or not at all. Raises OSError."""
    write_text(path, html(page), errors="replace")


def document(title: str, body: str) -> str:
    """A whole page around its body."""
    style = (files("restore.report") / "page.css").read_text(encoding="utf-8")
    script = (files("restore.report") / "page.js").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing is ever fetched: the page is kept beside the film for years, on machines without a network.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; media-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'\">\n"
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n<body>\n{body}\n"
        f"<footer>restore {escape(__version__)}</footer>\n<script>{script}</script>\n</body></html>\n"
    )


def html(page: Page) -> str:
    """The report as text; the more there is to see, the harder its pictures are compressed."""
    made = ""
    for quality in _QUALITIES:
        made = _html(page, quality)
        if len(made) <= _LARGEST:
            break
    return made


def _html(page: Page, quality: int) -> str:
    parts = [
        f"<header><h1>{escape(page.title)}</h1></header>",
        _troubles(page.troubles),
        _facts(page.facts),
        _pairs(page.moments.pairs, page.names, quality),
        _repairs(page.repairs, quality),
        _strips(page.moments.strips),
        _measures(page.measured, page.names),
        _steps(page.steps),
        _sounds(page.sounds),
        "".join(_plot(caption, png) for caption, png in page.plots),
    ]
    return document(page.title, "\n".join(part for part in parts if part))


def _section(heading: str, body: str, name: str) -> str:
    return f'<section id="{name}"><h2>{escape(heading)}</h2>{body}</section>' if body else ""


def _troubles(troubles: Sequence[str]) -> str:
    rows = "".join(f"<li>{escape(trouble)}</li>" for trouble in troubles)
    return _section("What went wrong", f"<ul>{rows}</ul>" if rows else "", "troubles")


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    return f'<section id="facts"><table class="facts">{rows}</table></section>' if rows else ""


def jpeg(picture: Rgb, quality: int = 85) -> str:
    """A picture as a data address."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def write_poster(picture: Rgb, path: Path) -> None:
    """Write a small JPEG, whole or not at all. Raises OSError."""
    scale = min(1.0, _POSTER / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    with whole(path) as file:
        file.write(data.tobytes())


def _pairs(pairs: Sequence[Pair], names: tuple[str, str], quality: int) -> str:
    body = ""
    for pair in pairs:
        said = f"{clock(pair.time)}: {pair.kind}, {pair.change:.1f} of 255 on average"
        body += _slider(pair.before, pair.after, names, said, quality)
    return _section("Before and after", f'<div class="pairs">{body}</div>' if body else "", "pairs")


def _slider(before: Rgb, after: Rgb, names: tuple[str, str], said: str, quality: int) -> str:
    """Two pictures over each other, and a slider between them."""
    height, width = after.shape[:2]
    return (
        f'<figure class="pair" style="--at:50%"><div class="both" style="aspect-ratio:{width}/{height}">'
        f'<img class="after" alt="{escape(names[1])}" src="{jpeg(after, quality)}">'
        f'<img class="before" alt="{escape(names[0])}" src="{jpeg(before, quality)}">'
        f'<span class="name left">{escape(names[0])}</span><span class="name right">{escape(names[1])}</span>'
        f'<div class="line"></div><input type="range" min="0" max="100" value="50" step="0.1" '
        f'aria-label="{escape(names[0])} to {escape(names[1])}"></div>'
        f"<figcaption>{escape(said)}</figcaption></figure>"
    )


def _repairs(repairs: Sequence[Repairs], quality: int) -> str:
    """For each stage, the frames of which most was repaired: marked, and repaired."""
    body = ""
    for found in repairs:
        body += (
            f"<h3>{escape(found.stage)}</h3><p class=small>{found.frames} frames; {100 * found.mean:.2g} % of the "
            f"picture on average, {100 * found.most:.2g} % at most</p>"
        )
        sliders = "".join(
            _slider(_marked(worst.before, worst.mask), worst.after, ("found", "repaired"),
                    f"{clock(Fraction(worst.seconds))}: {100 * float(worst.mask.mean()):.2g} % of the picture", quality)
            for worst in found.worst
        )  # fmt: skip
        body += f'<div class="pairs">{sliders}</div>' if sliders else ""
    return _section("Repaired", body, "repairs")


def _marked(picture: Rgb, mask: Mask) -> Rgb:
    """A picture with what was repaired in it ringed, so that one sees both where and what it was."""
    wide = max(1, round(max(mask.shape) / 320))
    inner = cv2.dilate(mask.astype(np.uint8), np.ones((2 * wide + 1,) * 2, np.uint8))
    outer = cv2.dilate(inner, np.ones((2 * wide + 1,) * 2, np.uint8))
    marked = picture.copy()
    marked[(outer > 0) & (inner == 0)] = _MARK
    return marked


def clock(time: Fraction) -> str:
    """A time for people."""
    return format_time(time)


def _strips(strips: Sequence[Strip]) -> str:
    body = ""
    for strip in strips:
        stills = "".join(f'<img alt="" src="{jpeg(still, 80)}">' for still in strip.stills)
        said = f"shot {strip.number}, {clock(strip.start)} to {clock(strip.end)}"
        body += f'<figure class="strip"><div>{stills}</div><figcaption>{escape(said)}</figcaption></figure>'
    return _section("Shots", body, "shots")


def _measures(rows: Sequence[Measured], names: tuple[str, str]) -> str:
    if not rows:
        return ""
    head = f"<tr><th>measure</th><th>{escape(names[0])}</th><th>{escape(names[1])}</th><th></th></tr>"
    body = "".join(
        f"<tr><td>{escape(row.name)}</td><td>{row.before:.3g}</td><td>{row.after:.3g}</td>"
        f'<td class="small">{escape(", ".join(part for part in (row.meaning, row.unit) if part))}</td></tr>'
        for row in rows
    )
    return _section("Measured", f'<table class="measures">{head}{body}</table>', "measures")


def _steps(steps: Sequence[Step]) -> str:
    body = ""
    for number, step in enumerate(steps, 1):
        options = ", ".join(f"{name} {value}" for name, value in step.options.items())
        found = "".join(f"<li>{escape(line)}</li>" for line in step.found)
        weights = "".join(
            f"<li>{escape(name)}: <code>{escape(hash)}</code></li>" for name, hash in step.weights.items()
        )
        body += (
            f"<h3>{number}. {escape(step.name)}</h3><p class=small>{escape(options) or 'as it comes'}</p>"
            + (f"<ul>{found}</ul>" if found else "")
            + (f"<ul class=small>{weights}</ul>" if weights else "")
        )
    return _section("What each stage did", body, "stages")


def _plot(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    return _section(caption, f'<img class="plot" alt="{escape(caption)}" src="data:image/png;base64,{data}">', "plot")


def _sounds(sounds: Sequence[tuple[str, bytes, str]]) -> str:
    body = ""
    for caption, data, kind in sounds:
        source = f"data:{escape(kind)};base64,{base64.b64encode(data).decode('ascii')}"
        player = f'<audio controls preload="none" aria-label="{escape(caption)}" src="{source}"></audio>'
        body += f"<figure>{player}<figcaption>{escape(caption)}</figcaption></figure>"
    return _section("Before and after, to hear", f'<div class="pairs">{body}</div>' if body else "", "sounds")
