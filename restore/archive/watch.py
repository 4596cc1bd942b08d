"""Files that arrive while a batch watches a folder: one is taken once it has stopped growing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from restore.archive.ledger import FileFacts
from restore.archive.reels import Reel
from restore.errors import SourceError, SourceNotFoundError


class Steady:
    """Tells which reels are new or changed, and have been the same at two looks in a row."""

    def __init__(self, taken: Iterable[Reel]) -> None:
        self._taken = {reel.source: _facts(reel) for reel in taken}
        self._seen: dict[str, FileFacts | None] = {}

    def ready(self, find: Callable[[], list[Reel]]) -> list[Reel]:
        """What to take now; `find` lists what there is. An emptied folder is waited on. Raises what `find` raises."""
        try:
            there = find()
        except (SourceError, SourceNotFoundError):
            return []
        ready: list[Reel] = []
        seen: dict[str, FileFacts | None] = {}
        for reel in there:
            facts = _facts(reel)
            if facts is None or self._taken.get(reel.source) == facts:
                continue
            if self._seen.get(reel.source) == facts:
                ready.append(reel)
                self._taken[reel.source] = facts
            else:
                seen[reel.source] = facts
        self._seen = seen
        return ready


def _facts(reel: Reel) -> FileFacts | None:
    try:
        return FileFacts.of(reel.source)
    except OSError:
        return None
