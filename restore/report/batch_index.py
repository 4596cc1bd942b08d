"""The index of a batch: a page that sorts and filters, and the same as CSV."""

from __future__ import annotations

import base64
import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from restore.files import write_text
from restore.report.page import document

_POSTERS = 400
"""Reels whose poster is on the page; with more of them it would grow too large to open."""


@dataclass(frozen=True)
class Row:
    """One reel."""

    source: str
    output: str
    state: str
    """``done`` or ``failed``."""
    frames: int
    seconds: float
    damaged: int
    """Damaged parts of the source."""
    finished: str
    error: str
    report: Path | None = None
    poster: Path | None = None


_COLUMNS = ("source", "output", "state", "frames", "seconds", "damaged", "finished", "error")


def write_index(folder: Path, rows: Sequence[Row]) -> Path:
    """Write ``report.html`` and ``report.csv`` into a batch's folder; returns the page's path. Raises OSError."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(_COLUMNS)
    writer.writerows(_safe(astuple(row)[: len(_COLUMNS)]) for row in rows)
    write_text(folder / "report.csv", table.getvalue(), errors="replace")
    write_text(folder / "report.html", index_html(folder, rows), errors="replace")
    return folder / "report.html"


def _safe(cells: Iterable[object]) -> list[object]:
    """Cells that no spreadsheet takes for a formula."""
    return [f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell for cell in cells]


def index_html(folder: Path, rows: Sequence[Row]) -> str:
    """The page as text."""
    done = sum(row.state == "done" for row in rows)
    frames = sum(row.frames for row in rows)
    head = f"<header><h1>{escape(folder.name)}</h1><p>{done} restored, {len(rows) - done} failed, {frames} frames</p>"
    tools = (
        '<div class="tools"><input id="words" type="search" placeholder="Filter by words" aria-label="Filter by words">'
        '<select id="state" aria-label="Filter by state"><option value="">all</option>'
        '<option value="done">restored</option><option value="failed">failed</option>'
        '<option value="damaged">damaged source</option></select><span id="count"></span></div>'
    )
    titles = ("", "reel", "state", "frames", "seconds", "frames/s", "finished", "what went wrong")
    cells = "".join(f"<th>{f'<button>{title}</button>' if title else ''}</th>" for title in titles)
    body = "".join(_row(folder, row, len(rows) <= _POSTERS) for row in rows)
    table = f'<div class="scroll"><table id="reels"><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'
    return document(folder.name, f"{head}</header>{tools}{table}")


def _row(folder: Path, row: Row, posters: bool) -> str:
    state = "damaged" if row.state == "done" and row.damaged else row.state
    rate = row.frames / row.seconds if row.seconds else 0.0
    name = escape(os.path.relpath(row.output, folder))
    if row.report is not None:
        name = f'<a href="{quote(os.path.relpath(row.report, folder))}">{name}</a>'
    picture = ""
    if posters and row.poster is not None and row.poster.exists():
        data = base64.b64encode(row.poster.read_bytes()).decode("ascii")
        picture = f'<img class="poster" alt="" src="data:image/jpeg;base64,{data}">'
    said = row.error or (f"source damaged in {row.damaged} places" if row.damaged else "")
    shown = {"done": "restored", "failed": "failed", "damaged": "restored, source damaged"}[state]
    # A reel that failed has no numbers, and is sorted as if they were none.
    cells = ((f"{row.frames}", "frames"), (f"{row.seconds:.1f}", "s"), (f"{rate:.1f}", "frames/s"))
    numbers = "".join(
        f'<td class="number" data-key="{value}" data-unit="{unit}">{value if row.state == "done" else ""}</td>'
        for value, unit in cells
    )
    return (
        f'<tr data-state="{state}"><td>{picture}</td><td>{name}<div class="small path">{escape(row.source)}</div></td>'
        f'<td class="{state}">{shown}</td>{numbers}'
        f'<td class="number">{escape(row.finished[:16].replace("T", " "))}</td>'
        f'<td class="path">{escape(said)}</td></tr>'
    )
