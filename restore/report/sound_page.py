"""One page about a job's sound: pictures, numbers, and players to hear it before and after. It fetches nothing."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from restore import __version__
from restore.report.sound import TrackReport
from restore.times import format_time

PAGE = "sound.html"

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
img { width: 100%; background: #fff; }
table { border-collapse: collapse; } td, th { padding: .2rem 1.2rem .2rem 0; text-align: left; }
td.n { font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } figcaption { font-weight: 600; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; } label { display: block; }
audio { width: 26rem; max-width: 100%; }
"""
_SCRIPT = """
// One player at a time; the other of a pair goes on from the same moment, so that A and B can be compared.
for (const pair of document.querySelectorAll(".pair")) {
  const [a, b] = pair.querySelectorAll("audio");
  for (const [one, other] of [[a, b], [b, a]]) one.addEventListener("play", () => {
    for (const each of document.querySelectorAll("audio")) {
      if (each === one || each.paused) continue;
      if (each === other) one.currentTime = other.currentTime;
      each.pause();
    }
  });
}
"""
_ROWS = (
    ("loudness", "loudness, LUFS", "{:.1f}"),
    ("peak", "peak, dBFS", "{:.1f}"),
    ("rms", "level, dBFS", "{:.1f}"),
    ("noise_floor", "noise floor, dBFS", "{:.1f}"),
    ("clicks_a_minute", "clicks a minute", "{:.0f}"),
    ("clipped_share", "samples on a flat top", "{:.3%}"),
)


def write_sound_page(title: str, tracks: Sequence[TrackReport], path: Path) -> None:
    """Write the page, whole or not at all. Raises OSError."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(sound_page(title, tracks))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def sound_page(title: str, tracks: Sequence[TrackReport]) -> str:
    """The page as HTML."""
    body = "".join(_track(report) for report in tracks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}: sound</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{body}"
        f"<p>Measured and drawn by restore {__version__}.</p>\n<script>{_SCRIPT}</script></body></html>\n"
    )


def _track(report: TrackReport) -> str:
    rows = []
    for name, words, form in _ROWS:
        values = [getattr(heard, name) for heard in (report.before, report.after)]
        cells = "".join(f'<td class="n">{"silent" if v is None else form.format(v)}</td>' for v in values)
        rows.append(f"<tr><th>{words}</th>{cells}</tr>")
    lines = [", ".join(f"{hertz:.0f}" for hertz, _ in heard.hum) or "none" for heard in (report.before, report.after)]
    rows.append(f"<tr><th>hum, Hz</th><td>{lines[0]}</td><td>{lines[1]}</td></tr>")
    players = "".join(
        f"<figure><figcaption>from {format_time(excerpt.start)}</figcaption><div class=pair>"
        f"<label>before<audio controls preload=none src='{_data(excerpt.before)}'></audio></label>"
        f"<label>after<audio controls preload=none src='{_data(excerpt.after)}'></audio></label></div></figure>"
        for excerpt in report.excerpts
    )
    pictures = "".join(
        f'<figure><img alt="{escape(path.stem)}" src="data:image/png;base64,{_text(path.read_bytes())}"></figure>'
        for path in reversed(report.plots)
    )
    return (
        f"<h2>{escape(str(report.track).capitalize())}</h2>\n"
        f"<table><tr><th></th><th>before</th><th>after</th></tr>{''.join(rows)}</table>\n{players}\n{pictures}\n"
    )


def _data(sound: bytes) -> str:
    return f"data:audio/flac;base64,{_text(sound)}"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
