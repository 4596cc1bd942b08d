"""The journal: one line for every finished segment, so that nothing finished is ever done again."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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
    """Append-only; a torn last line (a crash, a full disk) is ignored.

    A line is an `Entry`, or ``{"forget": [keys]}`` where files were about to be written over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            found = json.loads(line)
            if "forget" in found:
                for key in found["forget"]:
                    self.entries.pop(key, None)
            else:
                entry = Entry(**found)
                self.entries[entry.key] = entry
        except (ValueError, TypeError):
            return

    def add(self, entry: Entry) -> None:
        """Record a finished segment, durably."""
        self._append(asdict(entry))
        self.entries[entry.key] = entry

    def forget(self, keys: Collection[str]) -> None:
        """Record that these are not whole any more, before anything is written over them."""
        gone = [key for key in keys if key in self.entries]
        if gone:
            self._append({"forget": gone})
        for key in gone:
            del self.entries[key]

    def _append(self, facts: dict[str, Any]) -> None:
        torn = self.path.exists() and self.path.stat().st_size > 0 and not self._ends_with_newline()
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(facts) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
