"""What became of every reel of a batch: a line each, appended as it happens, so that nothing is done twice."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from restore.errors import PlanError
from restore.files import write_text


@dataclass(frozen=True)
class FileFacts:
    """By what a file is known again. The hash decides; the rest saves reading it."""

    size: int
    mtime_ns: int
    inode: int
    sha256: str = ""

    @classmethod
    def of(cls, source: str) -> Self:
        """Facts of a file, or all files of a folder or pattern together, without the hash. Raises OSError."""
        stats = [os.stat(path) for path in files_of(source)]
        return cls(
            sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats), stats[0].st_ino if stats else 0
        )  # fmt: skip

    def same_stat(self, other: FileFacts) -> bool:
        """Whether size, time and inode agree."""
        return (self.size, self.mtime_ns, self.inode) == (other.size, other.mtime_ns, other.inode)

    def hashed(self, source: str) -> Self:
        """The same with the hash of the content."""
        return replace(self, sha256=sha256_of(source))


def files_of(source: str) -> list[str]:
    """The files a source consists of. Raises OSError or RestoreError if there are none."""
    if os.path.isfile(source):
        return [source]
    from restore.media.sequence_files import is_sequence, list_sequence

    if is_sequence(source):
        found = list_sequence(source)
        return [str(found.folder / name) for name in found.names]
    raise FileNotFoundError(2, "no such file", source)


def sha256_of(source: str) -> str:
    """SHA-256 of a file; of a sequence, that of its files' names and hashes. Raises OSError."""
    files = files_of(source)
    each = [_sha256(path) for path in files]
    if len(files) == 1:
        return each[0]
    lines = "".join(f"{digest}  {os.path.basename(path)}\n" for path, digest in zip(files, each, strict=True))
    return hashlib.sha256(os.fsencode(lines)).hexdigest()


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


State = Literal["done", "failed"]


@dataclass(frozen=True)
class Outcome:
    """How one reel went."""

    source: str
    output: str
    state: State
    key: str
    """Digest of the recipe and the output's name: another means it is to be done anew."""
    facts: FileFacts | None = None
    """Of the source; None if it could not be read."""
    made: FileFacts | None = None
    """Of the output; None if there is none."""
    error: str = ""
    kind: str = ""
    """The error's class."""
    frames: int = 0
    seconds: float = 0.0
    damaged: int = 0
    """Damaged parts of the source."""
    finished: str = ""
    """When, UTC, ISO 8601."""

    def line(self) -> str:
        """As written into the ledger."""
        return json.dumps(asdict(self), ensure_ascii=True, separators=(",", ":")) + "\n"

    @classmethod
    def parse(cls, line: str) -> Self:
        """The reverse of `line`. Raises ValueError, TypeError or KeyError for anything else."""
        values: dict[str, Any] = json.loads(line)
        for name in ("facts", "made"):
            if values.get(name) is not None:
                values[name] = FileFacts(**values[name])
        return cls(**values)


class Ledger:
    """The outcomes of a batch, in a file that only ever grows until it is opened anew.

    A line cut short by a crash is the last one, and is forgotten. Raises PlanError for a file that is no ledger.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, Outcome] = {}
        lines = self._read()
        if lines > 2 * len(self.outcomes) + 100:
            self._compact()

    def _read(self) -> int:
        if not self.path.exists():
            return 0
        text = self.path.read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                outcome = Outcome.parse(line)
            except (ValueError, TypeError, KeyError):
                if number < len(lines):
                    raise PlanError(
                        f"{self.path}: line {number} is not a ledger's; put it right, or delete the file to begin anew "
                        "(finished reels are then found again by their job folders)"
                    ) from None
                self._compact()
                break
            self.outcomes[outcome.source] = outcome
        return len(lines)

    def _compact(self) -> None:
        write_text(self.path, "".join(outcome.line() for outcome in self.outcomes.values()))

    def add(self, outcome: Outcome) -> None:
        """Remember an outcome, on the disk before this returns."""
        self.outcomes[outcome.source] = outcome
        with self.path.open("a", encoding="utf-8") as file:
            file.write(outcome.line())
            file.flush()
            os.fsync(file.fileno())

    def settled(self, source: str, output: Path, key: str, *, verify: bool = False) -> Outcome | None:
        """The outcome of a reel that needs no work: the same source, recipe and (if done) output as then.

        Size, time and inode are trusted; if only time or inode differ, the content decides. With `verify`, the
        content always decides, of the output too.
        """
        known = self.outcomes.get(source)
        if known is None or known.key != key or known.facts is None:
            return None
        try:
            if known.state == "done" and not self._output_stands(known, output, verify):
                return None
            now = FileFacts.of(source)
            if now.size != known.facts.size:
                return None
            if verify or not now.same_stat(known.facts):
                if sha256_of(source) != known.facts.sha256:
                    return None
                if not now.same_stat(known.facts):
                    known = replace(known, facts=replace(now, sha256=known.facts.sha256))
                    self.add(known)
        except OSError:
            return None
        return known

    @staticmethod
    def _output_stands(known: Outcome, output: Path, verify: bool) -> bool:
        if known.made is None:
            return False
        now = FileFacts.of(str(output))
        if verify and known.made.sha256:
            return now.hashed(str(output)).sha256 == known.made.sha256
        return (now.size, now.mtime_ns) == (known.made.size, known.made.mtime_ns)
