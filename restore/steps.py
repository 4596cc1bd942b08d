"""What each stage of a job did, by its plan, in words: for its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from restore.pipeline.analyse import stage_key
from restore.pipeline.contract import Finding, StageOptions
from restore.pipeline.plan import read_json
from restore.pipeline.timeline import split_stages
from restore.recipe import Recipe
from restore.report.page import Step
from restore.stages import build_stage
from restore.voice import SOUND


def steps_of(folder: Path, recipe: dict[str, Any]) -> list[Step]:
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
