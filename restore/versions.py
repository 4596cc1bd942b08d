"""Versions: one face with many settings, each with a number, to be chosen between by a person."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, Self

import torch

from restore import numbered
from restore.api import prepare_run
from restore.engines.inline import InlineEngine
from restore.errors import OptionError
from restore.frames import Shot, VideoFormat
from restore.media.clip import ClipWriter
from restore.media.options import InputOptions
from restore.media.pictures import is_picture
from restore.media.sequence import is_sequence
from restore.numbered import Kept, Version
from restore.pipeline.index import FrameIndex
from restore.pipeline.job import default_folder, disk_errors
from restore.pipeline.progress import OnProgress
from restore.pipeline.setup import Setup
from restore.pipeline.stills import Rgb
from restore.pipeline.sweep import Found, Sweeper
from restore.recipe import Recipe
from restore.report.versions_sheet import SIDE, Column, VersionRow, cropped, write_sheet
from restore.stages import build_stage, parse_options
from restore.stages.reage.moments import Seen, best, seen

StrPath = str | os.PathLike[str]

STAGE = "reage"
COMMAND = "restore versions SOURCE"
MOST = 100
"""Versions of one call."""
FIXED = ("actor", "at", "detector", "zone", "consent", "own_work", "test_material")
"""Options that all versions share."""


@dataclass(frozen=True)
class Swept:
    """What `sweep` made."""

    folder: Path
    versions: tuple[Version, ...]
    sheet: Path
    page: Path
    clips: tuple[Path, ...] = ()


def grid(shared: Mapping[str, Any], several: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values that differ, the last varying first, with those that are shared.

    Raises OptionError for none, too many, and for values that cannot be.
    """
    combined = [dict(zip(several, values, strict=True)) for values in itertools.product(*several.values())]
    if len(combined) > MOST:
        raise OptionError(f"these are {len(combined)} versions; at most {MOST} are made at once: name fewer values")
    return [
        parse_options(STAGE, {**shared, **values}).model_dump(mode="json", exclude_unset=True) for values in combined
    ]


def sweep(
    source: StrPath,
    options: Sequence[Mapping[str, Any]],
    work_dir: StrPath | None = None,
    *,
    frames: int = 3,
    seconds: float = 0.0,
    input: InputOptions = InputOptions(),
    device: str = "auto",
    on_progress: OnProgress | None = None,
    cancel: Event | Callable[[], bool] | None = None,
) -> Swept:
    """Render stills of the actor with every one of the settings, onto a contact sheet and a page, and number them.

    Settings that have a number already keep it.

    Args:
        source: a film, a pattern or folder of pictures.
        options: of the stage ``reage``, a version each; see `grid`.
        work_dir: the job folder; ``SOURCE.restore`` if not given.
        frames: stills of each version, spread over the actor's time.
        seconds: length of a short clip about each still; 0 for stills alone.
        input, device, on_progress, cancel: as in `restore.run`.

    Raises RestoreError, as `restore.run` does.
    """
    stages = [build_stage(STAGE, dict(one)) for one in options]
    folder = Path(work_dir) if work_dir is not None else default_folder(Path(os.fspath(source)))
    nothing = folder.with_name(folder.name + _unwritten(os.fspath(source)))
    recipe = Recipe(((STAGE, stages[0].options),), input)
    setup = prepare_run(source, nothing, recipe, work_dir=folder, device=device)
    assert isinstance(setup, Setup)
    kept = load(folder) if (folder / "versions.json").exists() else Kept(Path(os.fspath(source)))
    versions = numbered.with_numbers(kept.versions, _labelled(options))
    cancelled = cancel.is_set if isinstance(cancel, Event) else cancel or (lambda: False)
    place = folder / "versions"
    sweeper = Sweeper(setup, InlineEngine(), on_progress, cancelled)
    with disk_errors(folder), _Gathered(setup.info.format, frames, seconds, place, versions) as gathered:
        index = sweeper.sweep([(stage,) for stage in stages], gathered.choose, gathered.show)
    with disk_errors(folder):
        every = (*kept.versions, *(version for version in versions if version not in kept.versions))
        numbered.save(folder / "versions.json", replace(kept, source=Path(os.fspath(source)), versions=every))
        return _shown(folder, os.fspath(source), versions, gathered, index)


def _unwritten(source: str) -> str:
    """The end of the name of an output that would do for this source; none is written."""
    return ".versions.png" if is_picture(source) and not is_sequence(source) else ".versions.mkv"


class _Gathered:
    """Chooses moments, and keeps what is shown of them: stills here, clips on the disk. A context manager."""

    def __init__(
        self, format: VideoFormat, frames: int, seconds: float, place: Path, versions: Sequence[Version]
    ) -> None:  # fmt: skip
        self._format, self._frames, self._seconds = format, frames, seconds
        self._place, self._versions = place, versions
        self._clip: ClipWriter | None = None
        self.middles: list[Seen] = []
        self.moments: list[range] = []
        self.stills: dict[tuple[int | None, int], Rgb] = {}
        """By version and column."""
        self.clips: dict[int | None, Path] = {}

    def choose(self, index: FrameIndex, shots: Sequence[Shot], found: Found) -> list[range]:
        told = {number: values[0] for number, values in found.items()}
        self.middles = best(seen(shots, told, float(self._format.sample_aspect)), self._frames)
        self._rate = index.frame_rate
        length = max(1, round(self._seconds * self._rate))
        for middle in self.middles:
            shot = next(shot for shot in shots if shot.start <= middle.frame < shot.end)
            start = max(shot.start, min(middle.frame - length // 2, shot.end - length))
            self.moments.append(range(start, min(shot.end, start + length)))
        return self.moments

    def show(self, version: int | None, frame: int, rgb: torch.Tensor) -> None:
        for column, (middle, moment) in enumerate(zip(self.middles, self.moments, strict=True)):
            if frame not in moment:
                continue
            crop = cropped(rgb, middle.square, float(self._format.sample_aspect))
            if frame == middle.frame:
                self.stills[version, column] = crop
            if self._seconds:
                self._clip_of(version).write(crop)
            return

    def _clip_of(self, version: int | None) -> ClipWriter:
        """The clip of the version that is being shown; that of the one before is complete."""
        if version not in self.clips or self._clip is None:
            self._close(None)
            self._place.mkdir(parents=True, exist_ok=True)
            name = "source.mp4" if version is None else f"{self._versions[version].number:03d}.mp4"
            self.clips[version] = self._place / name
            self._clip = ClipWriter(self.clips[version], SIDE, SIDE, self._rate)
        return self._clip

    def _close(self, kind: type[BaseException] | None) -> None:
        if self._clip is not None:
            self._clip.__exit__(kind)
            self._clip = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(kind)


def _shown(
    folder: Path, source: str, versions: Sequence[Version], gathered: _Gathered, index: FrameIndex
) -> Swept:  # fmt: skip
    """Write the sheet and the page."""
    place, clips = folder / "versions", gathered.clips
    place.mkdir(exist_ok=True)
    name = f"{versions[0].number:03d}-{versions[-1].number:03d}"
    columns = [Column(index.span(m.frame, m.frame + 1)[0], m.quality) for m in gathered.middles]

    def row(version: int | None, number: int | None, label: str) -> VersionRow:
        stills = tuple(gathered.stills[version, column] for column in range(len(columns)))
        return VersionRow(number, label, stills, clips.get(version))

    rows = [row(None, None, "source"), *(row(n, v.number, v.label) for n, v in enumerate(versions))]
    sheet, page = place / f"{name}.png", place / f"{name}.html"
    write_sheet(rows, columns, f"Versions of {Path(source).name}", Path(source).name, sheet, page)
    return Swept(folder, tuple(versions), sheet, page, tuple(clips[n] for n in clips))


def _labelled(options: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Settings, each with what sets it apart from the others."""
    differing = [name for name in options[0] if any(one.get(name) != options[0][name] for one in options)]
    result = []
    for one in options:
        shown = differing or [name for name in ("to", "strength") if name in one]
        label = ", ".join(f"{name.replace('_', ' ')} {one[name]}" for name in shown) or "as it is by default"
        result.append((label, one))
    return result


def load(folder: Path) -> Kept:
    """What a job folder keeps. Raises SourceNotFoundError, PlanError."""
    return numbered.load(folder / "versions.json", COMMAND)


def recall(folder: Path, number: int) -> dict[str, Any]:
    """The settings of a version. Raises SourceNotFoundError, PlanError; OptionError for a number there is none of."""
    return load(folder).one(number).options


def pick(folder: Path, number: int, path: Path | None = None, overwrite: bool = False) -> Path:
    """Note the choice of a version and write it down as a recipe for `restore run`; returns the recipe's file.

    Raises as `recall`, and OutputExistsError, OutputError.
    """
    return numbered.pick(
        folder / "versions.json", COMMAND, number,
        lambda version: Recipe(((STAGE, parse_options(STAGE, version.options)),)), path, overwrite,
    )  # fmt: skip
