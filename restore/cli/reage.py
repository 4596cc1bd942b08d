"""`restore reage`: the stage's command, with versions recalled and passes for compositors."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from restore.cli.job import arguments, io_groups, run_job, with_io
from restore.cli.options import GroupedCommand, given, options_for
from restore.cli.stage import command_help
from restore.errors import OutputError
from restore.media.options import OutputOptions
from restore.recipe import Recipe
from restore.stages import options_of, parse_options

_NAME = "reage"
_PASSES = ("delta", "matte", "mask")


def _extra() -> list[click.Option]:
    return [
        click.Option(["--version", "version"], type=click.IntRange(1), metavar="NUMBER",
                     help="Render this version of `restore versions`; what is said besides wins over its settings."),
        click.Option(["--passes"], type=click.Path(path_type=Path), metavar="DIR",
                     help="Also write delta, matte and mask into this folder, and tracks.json, for compositors; takes "
                     "about as long again."),
        click.Option(["--passes-as"], type=click.Choice(["exr", "prores"]), default="exr", show_default=True,
                     help="OpenEXR pictures in 32-bit float, or ProRes 4444 films."),
    ]  # fmt: skip


def _reage(
    source: str, output: Path, version: int | None, passes: Path | None, passes_as: str, **values: Any
) -> int:  # fmt: skip
    from restore.pipeline.job import default_folder

    said = given(options_of(_NAME), values)
    if version is not None:
        from restore.versions import recall

        kept = recall(_versions_folder(source, values["work_dir"]), version)
        if {"actor", "at"} & said.keys():
            kept = {name: value for name, value in kept.items() if name not in ("actor", "at")}
        said = {**kept, **said}
    recipe = with_io(Recipe(((_NAME, parse_options(_NAME, said)),)), values)
    job = values["work_dir"] or default_folder(output)
    if passes is not None:
        _check_folder(passes)
    if not values["dry_run"]:
        _take_over_people(default_folder(Path(source)), job)
    status = run_job(source, output, recipe, values)
    if passes is None or values["dry_run"]:
        return status
    return max(status, _write_passes(source, job, said, recipe, passes, passes_as, values))


def _versions_folder(source: str, work_dir: Path | None) -> Path:
    """Where versions are kept: the folder that was named, if it has some, else the source's."""
    from restore.pipeline.job import default_folder

    if work_dir is not None and (work_dir / "versions.json").exists():
        return work_dir
    return default_folder(Path(source))


def _take_over_people(known: Path, job: Path) -> None:
    """Let a new job know who is who, as the person told `restore faces` of the same source."""
    from restore.pipeline.plan import Edits

    if (job / "edits.json").exists() or job == known or not (known / "edits.json").exists():
        return
    people = Edits.load(known / "edits.json").people
    if people:
        job.mkdir(parents=True, exist_ok=True)
        Edits(people=people).save(job / "edits.json")


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--passes {folder}: is a file; name a folder")
    if not folder.parent.is_dir():
        raise OutputError(f"--passes {folder}: {folder.parent} is no folder; make it first")


def _write_passes(
    source: str, job: Path, said: dict[str, Any], recipe: Recipe, folder: Path, way: str, values: dict[str, Any]
) -> int:  # fmt: skip
    """Render each pass as a job of its own, by the plan of the film's; then the tracks."""
    from restore import api
    from restore.passes import write_tracks
    from restore.pipeline.job import default_folder

    films, status = way == "prores", 0
    # Passes hold pictures alone: sound and subtitles are in the film.
    others = tuple(stream.index for stream in api.probe(source, recipe.input).streams)
    for name in _PASSES:
        shown = parse_options(_NAME, {**said, "show": name, "show_as": "film" if films else "float"})
        target = folder / f"{name}.mov" if films else folder / name / f"{name}.%06d.exr"
        target.parent.mkdir(parents=True, exist_ok=True)
        own = default_folder(folder) / name
        _hand_on_plan(job, own)
        write = OutputOptions(codec="prores", skip_streams=others) if films else OutputOptions()
        told = {**values, "work_dir": own, "no_report": True}
        status = max(status, run_job(source, target, Recipe(((_NAME, shown),), recipe.input, write), told))
    write_tracks(job, folder / "tracks.json")
    return status


def _hand_on_plan(job: Path, other: Path) -> None:
    """Give another job what this one found and was told, so that nothing is looked for twice."""
    shutil.rmtree(other / "plan", ignore_errors=True)
    shutil.copytree(job / "plan", other / "plan")
    (other / "edits.json").unlink(missing_ok=True)
    if (job / "edits.json").exists():
        shutil.copyfile(job / "edits.json", other / "edits.json")


def reage_command(name: str = _NAME) -> click.Command:
    """The Click command."""
    own = [*options_for(options_of(name)), *_extra()]
    groups = [(name.capitalize(), own), *io_groups()]
    return GroupedCommand(name, callback=_reage, params=arguments(), groups=groups, help=command_help(name))
