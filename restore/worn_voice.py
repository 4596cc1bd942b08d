"""Versions of a worn voice: one repair with many strengths, to listen to and choose between."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch

from restore import numbered
from restore.analysis.voice_quality import VoiceQuality, voice_quality
from restore.api import run
from restore.errors import OptionError
from restore.media.sound import SoundReader, probe_sound
from restore.media.sound_codecs import excerpt
from restore.numbered import Kept, Version
from restore.pipeline.job import default_folder, disk_errors
from restore.pipeline.progress import OnProgress
from restore.recipe import Recipe
from restore.report.voice_page import Take, write_voice_page

StrPath = str | os.PathLike[str]

STAGE = "repair-voice"
FOLDER = "voice-versions"
"""In the job folder: numbered sound files, the page, and the job that makes them."""
COMMAND = "restore voice-versions SOURCE --strengths 0.3,0.6,0.9"
MOST = 40
"""Versions of one call."""
_PLAYED_SECONDS = 60
"""Of each version, in the page: it holds everything, and is to open quickly."""


@dataclass(frozen=True)
class Swept:
    """What `sweep` made."""

    folder: Path
    """The job folder."""
    versions: tuple[Version, ...]
    files: tuple[Path, ...]
    """A sound file of each version."""
    page: Path


def grid(recipe: Recipe, several: Mapping[str, Sequence[float]]) -> list[tuple[str, Recipe]]:
    """Every combination of options of ``repair-voice``, the last varying first, over a recipe that has the stage.

    Returns labels and recipes. Raises OptionError for too many, and for values that cannot be.
    """
    given = {name: values for name, values in several.items() if values}
    combined = [dict(zip(given, values, strict=True)) for values in itertools.product(*given.values())]
    if len(combined) > MOST:
        raise OptionError(f"these are {len(combined)} versions; at most {MOST} are made at once: name fewer values")
    return [
        (
            ", ".join(f"{name} {value:g}" for name, value in values.items()) or "as it is by default",
            recipe.with_values({f"{STAGE}.{name}": value for name, value in values.items()}),
        )
        for values in combined
    ]


def sweep(
    source: StrPath,
    wanted: Sequence[tuple[str, Recipe]],
    work_dir: StrPath | None = None,
    *,
    start: str | None = None,
    end: str | None = None,
    device: str = "auto",
    on_progress: OnProgress | None = None,
    cancel: Event | Callable[[], bool] | None = None,
) -> Swept:
    """Repair a sound, or a part of it, with every one of the recipes, into numbered files and a page with players.

    Recipes that have a number already keep it. What comes before ``repair-voice`` is computed once for all.

    Args:
        source: a film or a sound file; of several tracks the first, unless the recipes say which.
        wanted: labels and recipes; see `grid`.
        work_dir: the job folder; ``SOURCE.restore`` if not given.
        start, end, device, on_progress, cancel: as in `restore.run`.

    Raises RestoreError, as `restore.run` does.
    """
    path = Path(os.fspath(source))
    folder = Path(work_dir) if work_dir is not None else default_folder(path)
    place = folder / FOLDER
    kept = numbered.load(_list_of(folder), COMMAND) if _list_of(folder).exists() else Kept(path)
    versions = numbered.with_numbers(kept.versions, [(label, recipe.as_dict()) for label, recipe in wanted])
    with disk_errors(folder):
        place.mkdir(parents=True, exist_ok=True)
    files = []
    for version, (_, recipe) in zip(versions, wanted, strict=True):
        made = place / f"{version.number:03d}.wav"
        run(
            path, made, _one_track(recipe), start=start, end=end, work_dir=place / "job", overwrite=True, device=device,
            on_progress=on_progress, cancel=cancel,
        )  # fmt: skip
        files.append(made)
    new = [version for version in versions if version not in kept.versions]
    page = place / f"{versions[0].number:03d}-{versions[-1].number:03d}.html"
    with disk_errors(folder):
        numbered.save(_list_of(folder), replace(kept, source=path, versions=(*kept.versions, *new)))
        cleaned = _cleaned(path, _one_track(wanted[0][1]), place, start, end, device)
        takes = [_take(None, "before the voice is repaired", cleaned)]
        takes += [_take(v.number, v.label, file) for v, file in zip(versions, files, strict=True)]
        reference = dict(wanted[0][1].stages)[STAGE].model_dump().get("reference")
        if reference is not None:
            takes.append(_take(None, f"the reference, {Path(reference).name}", Path(reference)))
        write_voice_page(takes, f"Versions of {path.name}", page)
    return Swept(folder, tuple(versions), tuple(files), page)


def pick(folder: Path, number: int, path: Path | None = None, overwrite: bool = False) -> Path:
    """Note the choice of a version and write it down as a recipe for `restore run`; returns the recipe's file.

    Raises SourceNotFoundError, PlanError; OptionError for a number there is none of; OutputExistsError, OutputError.
    """
    return numbered.pick(
        _list_of(folder), COMMAND, number, lambda version: _said(Recipe.from_dict(version.options)), path, overwrite
    )


def versions_of(folder: Path) -> Kept:
    """What a job folder keeps. Raises SourceNotFoundError, PlanError."""
    return numbered.load(_list_of(folder), COMMAND)


def _list_of(folder: Path) -> Path:
    return folder / FOLDER / "versions.json"


def _one_track(recipe: Recipe) -> Recipe:
    """The recipe, reading one track: a sound file holds one."""
    return recipe if recipe.input.tracks else recipe.with_values({"input.tracks": (1,)})


def _said(recipe: Recipe) -> Recipe:
    """The recipe with what is not the default, and nothing else, counting as said."""
    stages = tuple((name, type(o).model_validate(o.model_dump(exclude_defaults=True))) for name, o in recipe.stages)
    models = [type(m).model_validate(m.model_dump(exclude_defaults=True)) for m in (recipe.input, recipe.output)]
    return Recipe(stages, models[0], models[1])  # type: ignore[arg-type]


def _cleaned(source: Path, recipe: Recipe, place: Path, start: str | None, end: str | None, device: str) -> Path:
    """What reaches the repair: the same recipe with the repair at strength 0."""
    made = place / "000.wav"
    recipe = recipe.with_values({f"{STAGE}.strength": 0})
    run(source, made, recipe, start=start, end=end, work_dir=place / "job", overwrite=True, device=device)
    return made


def _take(number: int | None, label: str, path: Path) -> Take:
    """The beginning of a sound, as the page plays it, and how worn the voice in it is."""
    track = probe_sound(path).tracks[0]
    wanted = _PLAYED_SECONDS * track.format.rate
    held: list[Any] = []
    for block in SoundReader(path, track).blocks():
        held.append(block)
        if sum(part.shape[1] for part in held) >= wanted:
            break
    samples = np.concatenate(held, 1)[:, :wanted] if held else np.zeros((track.format.channels, 0), np.float32)
    quality: VoiceQuality | None = voice_quality(torch.from_numpy(samples).mean(0), track.format.rate)
    return Take(number, label, excerpt(samples, track.format), quality)
