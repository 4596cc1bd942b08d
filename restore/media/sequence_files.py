"""The names of image sequences: patterns, globs and folders, and the files they stand for. No torch here."""

from __future__ import annotations

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from restore.errors import OptionError, SourceError, SourceNotFoundError
from restore.media.picture_formats import PICTURE_FORMATS, is_picture

_PRINTF = re.compile(r"%(?:0(?P<digits>\d+))?d")
_HASHES = re.compile(r"#+")
_NUMBER = re.compile(r"\d+")
_GLOB = frozenset("*?[")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class NumberedNames:
    """Names that differ only in one number: ``scan_%06d.dpx``."""

    folder: Path
    before: str
    after: str
    digits: int
    """At least so many, with zeros before; 1 means none are added."""

    @classmethod
    def parse(cls, pattern: str | os.PathLike[str]) -> NumberedNames:
        """Read ``scan_%06d.dpx``, ``scan_%d.dpx`` or ``scan_######.dpx``; raises OptionError for anything else."""
        path = Path(pattern)
        expression = _HASHES if "#" in path.name and "%" not in path.name else _PRINTF
        fields = list(expression.finditer(path.name.replace("%%", "\0\0")))
        if len(fields) != 1 or "%" in _PRINTF.sub("", path.name.replace("%%", "")):
            raise OptionError(f"{pattern}: not the pattern of a sequence; give one number field, as in scan_%06d.png")
        field = fields[0]
        digits = len(field[0]) if expression is _HASHES else int(field["digits"] or 1)
        before, after = path.name[: field.start()].replace("%%", "%"), path.name[field.end() :].replace("%%", "%")
        return cls(path.parent, before, after, digits)

    def name(self, number: int) -> str:
        """The file name of that number."""
        return f"{self.before}{number:0{self.digits}d}{self.after}"

    def path(self, number: int) -> Path:
        """The path of that number."""
        return self.folder / self.name(number)

    def number(self, name: str) -> int | None:
        """The number of a file name, None for one that is not exactly of the pattern."""
        digits = name[len(self.before) : len(name) - len(self.after)]
        if not (name.startswith(self.before) and name.endswith(self.after) and digits.isascii() and digits.isdigit()):
            return None
        return int(digits) if self.name(int(digits)) == name else None

    def __str__(self) -> str:
        field = "%d" if self.digits == 1 else f"%0{self.digits}d"
        return str(self.folder / (self.before.replace("%", "%%") + field + self.after.replace("%", "%%")))


@dataclass(frozen=True, slots=True)
class SequenceFiles:
    """The files of a sequence in their order. Where names are not numbered, the numbers count from 1."""

    folder: Path
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    numbered: NumberedNames | None

    def missing(self) -> list[tuple[int, int]]:
        """The gaps in the numbering as (first, last) missing numbers."""
        pairs = zip(self.numbers, self.numbers[1:], strict=False)
        return [(a + 1, b - 1) for a, b in pairs if b > a + 1]


def is_sequence(name: str | os.PathLike[str]) -> bool:
    """Whether a name stands for a sequence: a folder, or a picture's name with a number field or a glob in it."""
    path = Path(name)
    if path.is_dir():
        return True
    if path.is_file() or not is_picture(path):
        return False
    return bool(_PRINTF.search(path.name.replace("%%", "")) or "#" in path.name or _GLOB & set(path.name))


def list_sequence(name: str | os.PathLike[str]) -> SequenceFiles:
    """The files a pattern, glob or folder stands for; one pass over the folder, no file is opened.

    Raises SourceNotFoundError where there is none, SourceError where they are not one sequence.
    """
    path = Path(name)
    if path.is_dir():
        return _of_folder(path)
    if not path.parent.is_dir():
        raise SourceNotFoundError(f"{path.parent}: no such folder")
    if not is_picture(path):
        known = " ".join(PICTURE_FORMATS)
        raise SourceError(
            f"{name}: {path.suffix or 'no suffix'} is not a kind of picture restore reads; it reads {known}"
        )
    if _GLOB & set(path.name) and not _PRINTF.search(path.name):
        names = [n for n in _scan(path.parent) if fnmatch.fnmatchcase(n, path.name)]
        if not names:
            raise SourceNotFoundError(f"{name}: no file matches")
        return _ordered(path.parent, names)
    numbered = NumberedNames.parse(path)
    found = sorted((number, n) for n in _scan(path.parent) if (number := numbered.number(n)) is not None)
    if not found:
        raise SourceNotFoundError(f"{name}: no file of that pattern, such as {numbered.name(1)}")
    return SequenceFiles(path.parent, tuple(n for _, n in found), tuple(i for i, _ in found), numbered)


def describe_gaps(gaps: list[tuple[int, int]]) -> str:
    """The missing numbers in words: ``7, 12-15 and 3 more gaps (20 pictures in all)``."""
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in gaps[:_SHOWN]]
    more = len(gaps) - _SHOWN
    total = sum(last - first + 1 for first, last in gaps)
    rest = f" and {more} more gap{'s' * (more > 1)}" if more > 0 else ""
    return f"{', '.join(parts)}{rest} ({total} in all)"


def _scan(folder: Path) -> Iterable[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed ({error.strerror})") from error


def _of_folder(folder: Path) -> SequenceFiles:
    names = [name for name in _scan(folder) if is_picture(name)]
    if not names:
        raise SourceError(f"{folder}: holds no pictures ({' '.join(PICTURE_FORMATS)})")
    kinds = Counter(os.path.splitext(name)[1].lower() for name in names)
    if len(kinds) > 1:
        usual = kinds.most_common(1)[0][0]
        odd = min(name for name in names if not name.lower().endswith(usual))
        raise SourceError(f"{folder}: {odd} is not {usual} as the other pictures; give a pattern, such as *{usual}")
    return _ordered(folder, names)


def _ordered(folder: Path, names: list[str]) -> SequenceFiles:
    """Order by the one number that varies; names without such a number in natural order."""
    texts = {tuple(_NUMBER.split(name)) for name in names}
    fields = [tuple(_NUMBER.findall(name)) for name in names]
    if len(texts) > 1:
        if all(_NUMBER.search(os.path.splitext(name)[0]) for name in names) and len(texts) < len(names) / 2:
            first, second = sorted("#".join(text) for text in texts)[:2]
            raise SourceError(f"{folder}: holds several sequences, such as {first} and {second}; give a pattern")
        return _unnumbered(folder, names)
    varying = [i for i in range(len(fields[0])) if len({f[i] for f in fields}) > 1]
    if len(varying) > 1:
        shown = sorted(names)
        raise SourceError(f"{folder}: more than one number varies from {shown[0]} to {shown[-1]}; give a pattern")
    if not fields[0]:
        return _unnumbered(folder, names)
    # With a single file the last number of the stem counts.
    stem_fields = len(_NUMBER.findall(os.path.splitext(names[0])[0]))
    if not varying and not stem_fields:
        return _unnumbered(folder, names)
    at = varying[0] if varying else stem_fields - 1
    found = sorted((int(f[at]), name) for f, name in zip(fields, names, strict=True))
    widths = {len(f[at]) for f in fields}
    padded = any(f[at].startswith("0") and len(f[at]) > 1 for f in fields) or (len(widths) == 1 and max(widths) > 1)
    match = list(_NUMBER.finditer(names[0]))[at]
    numbered = NumberedNames(folder, names[0][: match.start()], names[0][match.end() :], min(widths) if padded else 1)
    for number, name in found:
        if numbered.name(number) != name:
            raise SourceError(f"{folder}: {name} is numbered unlike {numbered.name(number)}; rename or give a pattern")
    return SequenceFiles(folder, tuple(n for _, n in found), tuple(i for i, _ in found), numbered)


def _unnumbered(folder: Path, names: list[str]) -> SequenceFiles:
    natural = sorted(names, key=lambda n: ([(int(d), t) for t, d in _natural(n)], n))
    return SequenceFiles(folder, tuple(natural), tuple(range(1, len(natural) + 1)), None)


def _natural(name: str) -> list[tuple[str, str]]:
    """Pairs of text and the number after it (0 after the last)."""
    return [(text, digits or "0") for text, digits in re.findall(r"(\D*)(\d*)", name) if text or digits]
