"""The page of a voice's versions: players that go on where another left off, and how worn each is, in numbers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from restore.analysis.voice_quality import VoiceQuality
from restore.files import write_text
from restore.report.page import document

_SCRIPT = """
const players = [...document.querySelectorAll(".take audio")];
for (const player of players) player.addEventListener("play", () => {
  for (const other of players) if (other !== player && !other.paused) {
    other.pause();
    if (other.closest("tr").dataset.same === player.closest("tr").dataset.same) player.currentTime = other.currentTime;
  }
});
"""


@dataclass(frozen=True)
class Take:
    """One version, or what it is compared with."""

    number: int | None
    label: str
    sound: bytes
    """FLAC."""
    quality: VoiceQuality | None
    """None where there is too little voice to say."""


def write_voice_page(takes: Sequence[Take], title: str, path: Path) -> None:
    """Write the page, whole or not at all; it fetches nothing. Raises OSError."""
    head = "<th></th><th>version</th><th></th>"
    head += "".join(f'<th style="text-align:right">{word}</th>' for word in ("jitter", "shimmer", "HNR", "CPP"))
    rows = "".join(_row(take) for take in takes)
    body = (
        f"<header><h1>{escape(title)}</h1></header>"
        "<p>Start one player while another runs: it goes on from the same place. Jitter and shimmer are lower, HNR and "
        "CPP higher, in a steadier voice; the ear decides. <code>restore voice-versions pick NUMBER</code> writes the "
        f"recipe.</p><div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<script>{_SCRIPT}</script>"
    )
    write_text(path, document(title, body), errors="replace")


def _row(take: Take) -> str:
    number = "" if take.number is None else str(take.number)
    same = "no" if take.label.startswith("the reference") else "yes"
    sound = base64.b64encode(take.sound).decode("ascii")
    found = take.quality
    numbers = ("", "", "", "")
    if found is not None:
        numbers = (
            f"{100 * found.jitter:.2f} %", f"{100 * found.shimmer:.1f} %", f"{found.hnr:.1f} dB", f"{found.cpp:.1f} dB",
        )  # fmt: skip
    cells = "".join(f'<td class="number">{cell}</td>' for cell in numbers)
    player = f'<audio controls preload="metadata" src="data:audio/flac;base64,{sound}"></audio>'
    return (
        f'<tr class="take" data-same="{same}"><td class="number"><b>{number}</b></td><td>{escape(take.label)}</td>'
        f'<td style="width:26rem;min-width:19rem">{player}</td>{cells}</tr>'
    )
