"""Manifests: a table that says what each source becomes, as CSV or TOML.

CSV has a heading with ``source`` and, if wanted, ``output`` and ``recipe``; any other column is an override named
``STAGE.OPTION``, ``input.OPTION`` or ``output.OPTION``, where empty cells change nothing:

    source,output,recipe,upscale.scale
    reel 1.mov,reel 1.mkv,film.toml,2

TOML has a table for each source:

    [[reel]]
    source = "reel 1.mov"
    output = "reel 1.mkv"
    recipe = "film.toml"
    set = { "upscale.scale" = 2 }

Relative sources and recipes are looked for beside the manifest, relative outputs below the batch's folder.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from restore.archive.reels import Reel, output_name
from restore.errors import OptionError, SourceNotFoundError

_KEYS = ("source", "output", "recipe", "set")
_OVERRIDE = re.compile(r"[a-z_]+\.[a-z_]+")


def is_manifest(path: Path) -> bool:
    """Whether a batch's input is a table of sources."""
    return path.suffix.lower() in (".csv", ".toml") and not path.is_dir()


def load_manifest(path: Path, out: Path, name: str) -> Iterator[Reel]:
    """The reels a manifest lists.

    Args:
        path: the CSV or TOML file.
        out: where relative outputs go.
        name: pattern for outputs that are not named, see `output_name`.

    Raises SourceNotFoundError, and OptionError that names line and column of what is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path}: no such manifest") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: cannot be read as a manifest ({error})") from None
    rows = _csv_rows(path, text) if path.suffix.lower() == ".csv" else _toml_rows(path, text)
    for number, (place, row) in enumerate(rows, 1):
        source = Path(row["source"])
        given = row.get("output")
        yield Reel(
            str((path.parent / source).absolute()),
            out / (given if given else output_name(name, source, number)),
            str((path.parent / row["recipe"]).absolute()) if row.get("recipe") else None,
            row.get("set", {}),
            place,
            row.get("columns", {}),
        )


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heading = [cell.strip() for cell in next(reader, [])]
        _check_heading(path, heading)
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heading):
                column = min(len(cells), len(heading)) + 1
                raise OptionError(f"{path}: line {line}, column {column}: {len(cells)} cells, the heading has "
                                  f"{len(heading)}")  # fmt: skip
            row = {key: cell for key, cell in zip(heading, cells, strict=True) if cell.strip()}
            if "source" not in row:
                raise OptionError(f"{path}: line {line}, column {heading.index('source') + 1}: no source is named")
            settings = {key: row.pop(key).strip() for key in list(row) if key not in _KEYS}
            columns = {key: heading.index(key) + 1 for key in settings}
            yield f"{path.name} line {line}", {**row, "set": settings, "columns": columns}
    except csv.Error as error:
        raise OptionError(f"{path}: line {reader.line_num}, column 1: not CSV: {error}") from None


def _check_heading(path: Path, heading: list[str]) -> None:
    if "source" not in heading:
        raise OptionError(f"{path}: line 1, column 1: the heading has no column named source")
    for column, key in enumerate(heading, 1):
        if key in heading[: column - 1]:
            raise OptionError(f"{path}: line 1, column {column}: {key!r} is there twice")
        if key not in _KEYS[:3] and not _OVERRIDE.fullmatch(key):
            raise OptionError(
                f"{path}: line 1, column {column}: {key!r} is neither source, output, recipe nor STAGE.OPTION"
            )


def _toml_rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{path}: not TOML: {error}") from None
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*reel\s*\]\]", line)]
    reels = tables.get("reel")
    if not isinstance(reels, list) or set(tables) != {"reel"} or not all(isinstance(row, dict) for row in reels):
        raise OptionError(f"{path}: line 1, column 1: a manifest holds [[reel]] tables, each with a source")
    lines += [1] * (len(reels) - len(lines))
    for line, row in zip(lines, reels, strict=False):
        place = f"{path}: line {line}, column 1"
        unknown = sorted(set(row) - set(_KEYS))
        if unknown:
            raise OptionError(f"{place}: [[reel]] has no {unknown[0]!r}; it has {', '.join(_KEYS)}")
        for key in _KEYS[:3]:
            if not isinstance(row.get(key, ""), str):
                raise OptionError(f"{place}: {key} must be text")
        settings = row.get("set", {})
        if not isinstance(settings, dict) or not all(_OVERRIDE.fullmatch(key) for key in settings):
            raise OptionError(f'{place}: set is a table like {{ "upscale.scale" = 2 }}')
        if not row.get("source"):
            raise OptionError(f"{place}: no source is named")
        yield f"{path.name} line {line}", row
