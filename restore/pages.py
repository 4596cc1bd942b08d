"""Pages as calls: a job's report, its review, and comparisons of any two films."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from restore.examine import plot
from restore.pipeline.analyse import stage_key
from restore.pipeline.contract import Finding, StageOptions
from restore.pipeline.job import disk_errors
from restore.pipeline.plan import Plan, read_json
from restore.pipeline.timeline import split_stages
from restore.recipe import Recipe
from restore.report.compare import compare as _compare
from restore.report.job_report import read_manifest, write_job_report
from restore.report.page import Step, write_page
from restore.report.review import Review
from restore.stages import build_stage
from restore.voice import SOUND

StrPath = str | os.PathLike[str]


def report(job: StrPath) -> Path:
    """Write the report of a job folder, ``report.html`` in it; returns its path.

    Raises SourceNotFoundError or PlanError for what is no job folder.
    """
    folder = Path(job)
    recipe = read_manifest(folder)["recipe"]
    if Plan(folder).frames_path.exists():  # a job of sound alone has no pictures to draw curves of
        plot(folder)
    with disk_errors(folder):
        return write_job_report(folder, _steps(folder, recipe))


def _steps(folder: Path, recipe: dict[str, Any]) -> list[Step]:
    """What each stage of a job did, by its plan."""
    shots = [read_json(path)["stages"] for path in sorted((folder / "plan").glob("shot-*.json"))]
    whole = Recipe.from_dict(recipe).stages
    stages = [(name, build_stage(name, options)) for name, options in whole if name not in SOUND]
    _, pictures = split_stages([stage for _, stage in stages])
    steps = []
    for name, stage in stages:
        worst: dict[str, Finding] = {}
        if stage in pictures:
            key = stage_key(pictures.index(stage), name)
            for values in (shot.get(key, {}).get("values", {}) for shot in shots):
                for finding in stage.findings(stage.told(values)):
                    if finding.what not in worst or worst[finding.what].severity < finding.severity:
                        worst[finding.what] = finding
        found = tuple(f"{finding.what}: {finding.amount} in the worst shot" for finding in worst.values())
        said = {key: str(value) for key, value in stage.options.model_dump(mode="json", exclude_defaults=True).items()}
        steps.append(Step(name, said, found, stage.weights()))
    return [*steps, *_sound_steps(folder, [(name, options) for name, options in whole if name in SOUND])]


def _sound_steps(folder: Path, stages: Sequence[tuple[str, StageOptions]]) -> list[Step]:
    """What each stage of the sound did, by what it found in each track."""
    tracks = {
        path.stem.removeprefix("sound-"): read_json(path) for path in sorted((folder / "plan").glob("sound-*.json"))
    }
    steps = []
    for place, (name, options) in enumerate(stages):
        found = []
        for number, plan in tracks.items():
            values = plan["stages"].get(stage_key(place, name), {}).get("values", {})
            words = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items() if value is not None)
            found += [f"track {number}: {words}"] if words else []
        said = {key: str(value) for key, value in options.model_dump(mode="json", exclude_defaults=True).items()}
        steps.append(Step(name, said, tuple(found), SOUND.build(name, options).weights()))
    return steps


def review(job: StrPath) -> Review:
    """A finished job to be looked through shot by shot. Raises SourceNotFoundError or PlanError for what is none."""
    folder = Path(job)
    stages = Recipe.from_dict(read_manifest(folder)["recipe"]).stages
    pictures = [(name, options) for name, options in stages if name not in SOUND]
    editable = [(name, options) for name, options in pictures if "strength" in build_stage(name, options).editable]
    return Review(folder, {name: float(getattr(options, "strength", 1.0)) for name, options in editable})


def compare(first: StrPath, second: StrPath, page: StrPath, truth: StrPath | None = None) -> Path:
    """Write a page that compares two films, moment by moment. Raises SourceNotFoundError, SourceError, OutputError."""
    path = Path(page)
    with disk_errors(path):
        write_page(_compare(os.fspath(first), os.fspath(second), None if truth is None else os.fspath(truth)), path)
    return path
