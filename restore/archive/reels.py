"""Which sources a batch works on, and what each becomes: folders, globs and output names."""

from __future__ import annotations

import os
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from glob import has_magic
from pathlib import Path
from typing import Any

from restore.errors import OptionError, SourceError, SourceNotFoundError

_FILM_NAMES = """
.3gp .asf .avi .dv .flv .gxf .m2ts .m2v .m4v .mj2 .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut .ogv .ts .vob .webm .wmv .y4m
"""
FILMS = frozenset(_FILM_NAMES.split())
"""Files of a folder taken for reels unless patterns say otherwise."""
_FIELDS = ("stem", "suffix", "name", "number", "folder")


@dataclass(frozen=True)
class Reel:
    """One source, what it becomes, and how."""

    source: str
    """A file, folder of pictures or pattern, absolute; what the ledger knows it by."""
    output: Path
    recipe: str | None = None
    """A recipe's file, where a manifest names one."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Overrides, ``stage.option`` to value."""
    place: str = ""
    """Where in the manifest it stands, for messages."""
    columns: Mapping[str, int] = field(default_factory=dict)
    """Of the overrides in it, where it is a table."""


def reels_in(
    folder: Path, out: Path, name: str, patterns: Iterable[str] = (), unreadable: list[str] | None = None
) -> Iterator[Reel]:
    """A reel for each film below `folder`, the tree mirrored below `out`, in the order of their names.

    Args:
        folder: searched through; links are followed, circles of links once.
        out: where outputs go. If it lies inside `folder` it is not searched.
        name: pattern of the output's name, see `output_name`.
        patterns: names to take, as ``*.mov``; all of `FILMS` if empty.
        unreadable: gets a line for every folder that cannot be read.

    Raises SourceNotFoundError if `folder` does not exist.
    """
    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder}: no such folder")
    wanted = tuple(patterns)
    for number, path in enumerate(_files(folder, out, wanted, set(), [] if unreadable is None else unreadable), 1):
        below = path.relative_to(folder)
        yield Reel(str(path.absolute()), out / below.parent / output_name(name, below, number))


def reels_of(pattern: str, out: Path, name: str) -> Iterator[Reel]:
    """A reel for each file a glob like ``reels/**/*.mkv`` finds; what lies below its fixed part is mirrored."""
    import glob

    fixed = Path(*_without_magic(Path(pattern)))
    found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not found:
        raise SourceNotFoundError(f"{pattern}: no file is called so")
    for number, path in enumerate(map(Path, found), 1):
        below = path.relative_to(fixed) if fixed.parts else path
        yield Reel(str(path.absolute()), out / below.parent / output_name(name, below, number))


def _without_magic(path: Path) -> Iterator[str]:
    for part in path.parts[:-1]:
        if has_magic(part):
            return
        yield part


def _files(
    folder: Path, out: Path, wanted: tuple[str, ...], seen: set[tuple[int, int]], unreadable: list[str]
) -> Iterator[Path]:
    """Films below a folder. `seen` holds the folders visited: links may lead in circles."""
    try:
        facts = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        unreadable.append(f"{folder}: cannot be read ({error.strerror})")
        return
    if (facts.st_dev, facts.st_ino) in seen:
        return
    seen.add((facts.st_dev, facts.st_ino))
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name.endswith((".part", ".restore")):
            continue
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link that leads to itself
            unreadable.append(f"{path}: cannot be followed")
            continue
        if is_folder:
            if path.absolute() != out.absolute():
                yield from _files(path, out, wanted, seen, unreadable)
        elif any(fnmatch(entry.name, one) for one in wanted) if wanted else path.suffix.lower() in FILMS:
            if entry.is_file() or not path.exists():  # one that leads nowhere is a reel that fails
                yield path
            else:
                unreadable.append(f"{path}: is no file")  # a pipe would be waited on for ever


def output_name(pattern: str, source: Path, number: int) -> str:
    """An output's name after a pattern with ``{stem}``, ``{suffix}``, ``{name}``, ``{folder}``, ``{number}``.

    Raises OptionError for another field, or a name that leaves its folder.
    """
    values = {
        "stem": source.stem, "suffix": source.suffix, "name": source.name, "folder": source.parent.name,
        "number": number,
    }  # fmt: skip
    try:
        fields = [part for _, part, _, _ in string.Formatter().parse(pattern) if part is not None]
        if not set(fields) <= set(_FIELDS):
            raise KeyError(next(part for part in fields if part not in _FIELDS))
        made = pattern.format_map(values)
    except (KeyError, ValueError, IndexError) as error:
        raise OptionError(
            f"--name {pattern}: cannot be read ({error}); fields are {', '.join('{' + f + '}' for f in _FIELDS)}"
        ) from None
    if made in ("", ".", "..") or "/" in made or "\0" in made:
        raise OptionError(f"--name {pattern}: gives {made!r}, which is no file name")
    return made


def checked(reels: Iterable[Reel], what: str) -> list[Reel]:
    """All reels, sure to have sources and outputs of their own.

    Raises SourceError if there is none, OptionError if two write one file or an output is a source.
    """
    found = list(reels)
    if not found:
        raise SourceError(f"{what}: holds no film; name what to take with --pattern")
    outputs: dict[str, Reel] = {}
    sources = {reel.source for reel in found}
    for reel in found:
        output = str(reel.output.absolute())
        if (other := outputs.get(output)) is not None:
            raise OptionError(
                f"{_named(other)} and {_named(reel)} would both become {output}; give a --name with more of the "
                "source's own, as {name}.mkv, or write the outputs into a manifest"
            )
        if output in sources:
            raise OptionError(f"{_named(reel)} would write over a source, {output}; choose another folder or --name")
        outputs[output] = reel
    return found


def _named(reel: Reel) -> str:
    return f"{reel.source} ({reel.place})" if reel.place else reel.source
