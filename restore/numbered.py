"""Settings with numbers: what was tried on a source, kept in its job folder, to be chosen between by a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from restore import __version__
from restore.errors import OptionError, OutputExistsError, PlanError, SourceNotFoundError
from restore.files import write_text
from restore.pipeline.job import disk_errors
from restore.pipeline.plan import read_json, write_json
from restore.presets import as_toml
from restore.recipe import Recipe


@dataclass(frozen=True)
class Version:
    """Settings, and the number by which they are known."""

    number: int
    options: dict[str, Any]
    """As a recipe has them: those of one stage, or all of it."""
    label: str
    """What sets it apart from the others that it was made with."""


@dataclass(frozen=True)
class Kept:
    """What a file of versions holds."""

    source: Path
    versions: tuple[Version, ...] = ()
    picked: int | None = None

    def one(self, number: int) -> Version:
        """The version of that number. Raises OptionError where there is none."""
        for version in self.versions:
            if version.number == number:
                return version
        numbers = [version.number for version in self.versions]
        raise OptionError(f"there is no version {number}; there are {min(numbers)} to {max(numbers)}")


def with_numbers(known: Sequence[Version], wanted: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Version]:
    """Labels and settings with their numbers: those they have already, or the next ones."""
    following = 1 + max((version.number for version in known), default=0)
    found = list(known)
    result = []
    for label, options in wanted:
        version = next((version for version in found if version.options == options), None)
        if version is None:
            version = Version(following, dict(options), label)
            found.append(version)
            following += 1
        result.append(version)
    return result


def load(path: Path, command: str) -> Kept:
    """Read a file of versions. Raises SourceNotFoundError naming the command that makes some, PlanError."""
    if not path.exists():
        raise SourceNotFoundError(f"{path}: there are no versions yet; `{command}` makes some")
    try:
        raw = read_json(path)
        versions = tuple(
            Version(int(one["number"]), dict(one["options"]), str(one["label"])) for one in raw["versions"]
        )
        return Kept(Path(raw["source"]), versions, raw["picked"])
    except (KeyError, TypeError, ValueError):
        raise PlanError(f"{path}: not a list of versions; delete it and make them again") from None


def save(path: Path, kept: Kept) -> None:
    """Write a file of versions, whole or not at all. Raises OSError."""
    listed = [{"number": v.number, "label": v.label, "options": v.options} for v in kept.versions]
    write_json(path, {"version": 1, "source": str(kept.source.absolute()), "picked": kept.picked, "versions": listed})


def pick(
    path: Path, command: str, number: int, recipe: Callable[[Version], Recipe], target: Path | None, overwrite: bool
) -> Path:
    """Note the choice of a version in a file of them, and write it down as a recipe for `restore run`.

    Args:
        path, command: as for `load`.
        recipe: makes one of a version's settings.
        target: the recipe's file; if not given, `version-NUMBER.toml` beside `path`, replaced without asking.
        overwrite: whether a `target` that is there may be replaced.

    Returns the recipe's file. Raises SourceNotFoundError, PlanError; OptionError for a number there is none of;
    OutputExistsError, OutputError.
    """
    kept = load(path, command)
    version = kept.one(number)
    written = target or path.with_name(f"version-{number}.toml")
    if written.exists() and target is not None and not overwrite:
        raise OutputExistsError(f"{written}: exists already; add --overwrite to replace it")
    head = (
        f"Version {number} of {kept.source.name}: {version.label}. restore {__version__}\n"
        f"restore run {kept.source.name} OUTPUT --recipe {written.name}"
    )
    with disk_errors(path.parent):
        write_text(written, as_toml(recipe(version), head))
        save(path, replace(kept, picked=number))
    return written
