"""The journal: one line for every finished segment, so that nothing finished is ever done again."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """A segment that is whole on disk."""

    key: str
    """Digest of everything its pixels and bytes depend on."""
    start: int
    end: int
    bytes: int
    reorder: int
    """How many packets the encoder needs ahead of presentation order."""
    seconds: float
    batch: int
    """Frames a batch that proved fastest; a hint for the next segment."""


class Journal:
    """Append-only; a torn last line (a crash, a full disk) is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = Entry(**json.loads(line))
                except (ValueError, TypeError):
                    continue
                self.entries[entry.key] = entry

    def add(self, entry: Entry) -> None:
        """Record a finished segment, durably."""
        torn = self.path.exists() and self.path.stat().st_size > 0 and not self._ends_with_newline()
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(asdict(entry)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.entries[entry.key] = entry

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
