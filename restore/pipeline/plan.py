"""The plan folder: what the analysis found, shot by shot, and what a person changed.

``plan/frames.npz`` lists the frames, ``plan/shots.json`` the shots, ``plan/shot-0000012.json`` holds what each stage's
analyzer found in the shot that starts at frame 12, and ``plan/shot-0000012.1-colorize.npz`` what of that is arrays.
``edits.json`` beside the folder belongs to the person and wins over all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from restore.errors import OptionError, PlanError
from restore.files import write_text
from restore.frames import Shot
from restore.pipeline.contract import Stage
from restore.pipeline.index import FrameIndex
from restore.times import parse_time


def write_json(path: Path, value: Any) -> None:
    """Write a small file whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a small file; raises PlanError naming line and column where it is malformed."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise PlanError(f"{path}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: cannot be read ({error})") from None


def _time(value: str | float) -> str | float:
    parse_time(value, Fraction(120000, 1001))  # any rate: only the form counts here
    return value


Time = Annotated[str | int | float, AfterValidator(_time)]
"""A time from the first frame, as `restore.times.parse_time` takes it."""


class Cuts(BaseModel):
    """Cuts a person adds or takes away, each the time of the first frame of a shot."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    add: tuple[Time, ...] = ()
    remove: tuple[Time, ...] = ()


class Change(BaseModel):
    """Values a person sets for every shot that a stretch of time touches."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    start: Time = Field(alias="from")
    end: Time = Field(alias="to")
    stage: str
    set: dict[str, Any]
    note: str = ""


class Reviewed(BaseModel):
    """What a person said of a stretch of time; changes no pixel."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    start: Time = Field(alias="from")
    end: Time = Field(alias="to")
    verdict: Literal["accept", "reject", ""] = ""
    comment: str = ""


class PersonEdit(BaseModel):
    """What a person says of somebody whom `restore faces` found: of one of their tracks, or of all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    track: int | None = None
    person: int | None = None
    same_as: int | None = Field(None, alias="is", ge=1)
    name: str | None = Field(None, min_length=1, max_length=200)
    drop: bool = False
    note: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> PersonEdit:
        if (self.track is None) == (self.person is None):
            raise ValueError("say either which track or which person is meant")
        if self.drop == (self.same_as is not None or self.name is not None):
            raise ValueError('say who it "is", their "name", or "drop": true')
        if self.track is not None and self.name is not None and self.same_as is None:
            raise ValueError('a name belongs to a person; say who the track "is"')
        return self


class Edits(BaseModel):
    """The whole of ``edits.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1] = 1
    cuts: Cuts = Cuts()
    changes: tuple[Change, ...] = ()
    reviews: tuple[Reviewed, ...] = ()
    people: tuple[PersonEdit, ...] = ()

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, self.model_dump(mode="json", by_alias=True))

    @classmethod
    def load(cls, path: Path) -> Edits:
        """Read the file, or return no edits where there is none. Raises PlanError saying what is wrong where."""
        if not path.exists():
            return cls()
        raw = read_json(path)
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(step) for step in first["loc"])
            raise PlanError(f"{path}: {place}: {first['msg'].removeprefix('Value error, ')}") from None

    def check_stages(self, names: Iterable[str]) -> None:
        """Refuse changes of stages that a job does not have. Raises PlanError."""
        known = sorted(set(names))
        for change in self.changes:
            if change.stage not in known:
                raise PlanError(f"edits.json: no stage {change.stage!r} in this job; it has {', '.join(known)}")


def shots_between(cuts: Iterable[int], length: int) -> list[Shot]:
    """The shots that cuts make of a film of so many frames."""
    borders = sorted({0, *(cut for cut in cuts if 0 < cut < length), length})
    return [Shot(number, first, stop) for number, (first, stop) in enumerate(zip(borders, borders[1:], strict=False))]


class Plan:
    """A plan folder on disk."""

    def __init__(self, job: Path) -> None:
        self.folder = job / "plan"
        self.edits_path = job / "edits.json"
        self.frames_path = self.folder / "frames.npz"
        self.shots_path = self.folder / "shots.json"

    def shot_path(self, shot: Shot) -> Path:
        """Where the findings of one shot lie; named by its first frame, so that added cuts rename nothing."""
        return self.folder / f"shot-{shot.start:07d}.json"

    def arrays_path(self, entry: Mapping[str, Any]) -> Path | None:
        """Where the arrays of one stage's findings lie; None if it has none."""
        name = entry.get("arrays")
        return self.folder / Path(name).name if isinstance(name, str) else None

    def save_shots(self, cuts: Sequence[int], index: FrameIndex) -> None:
        """Write down the cuts (indexes of first frames) that the detector found, with their times for people.

        Times count from the first frame, as those of edits do.
        """
        seconds = [float(int(index.pts[cut] - index.pts[0]) * index.time_base) for cut in cuts]
        listed = [{"frame": cut, "time": f"{time:.3f}"} for cut, time in zip(cuts, seconds, strict=True)]
        write_json(self.shots_path, {"frames": len(index), "cuts": listed})

    def cuts(self) -> list[int]:
        """The cuts that the detector found, as first frames of shots, by index of the source's frames."""
        try:
            return sorted({int(cut["frame"]) for cut in read_json(self.shots_path)["cuts"]})
        except (KeyError, TypeError, ValueError):
            raise PlanError(f"{self.shots_path}: not a list of shots; delete it and run again") from None

    def shots(self, found: Iterable[int], index: FrameIndex, edits: Edits) -> list[Shot]:
        """The shots of the film that `index` lists: the cuts `found`, with the person's added and removed."""
        cuts = set(found)
        cuts.difference_update([_edit_frame(time, index) for time in edits.cuts.remove])
        cuts.update(_edit_frame(time, index) for time in edits.cuts.add)
        return shots_between(cuts, len(index))

    def load_shot(self, shot: Shot) -> dict[str, Any]:
        """Findings so far: ``{"frames": [start, end], "stages": {stage key: {"by": ..., "values": {...}}}}``."""
        path = self.shot_path(shot)
        if not path.exists():
            return {"frames": [shot.start, shot.end], "stages": {}}
        found = read_json(path)
        if not isinstance(found, dict) or not isinstance(found.get("stages"), dict):
            raise PlanError(f"{path}: not the plan of a shot; delete it and run again")
        if found.get("frames") != [shot.start, shot.end]:
            return {"frames": [shot.start, shot.end], "stages": {}}
        return found

    def save_shot(self, shot: Shot, found: Mapping[str, Any]) -> None:
        """Write the findings of one shot."""
        write_json(self.shot_path(shot), found)


def _edit_frame(time: str | float, index: FrameIndex) -> int:
    try:
        return index.find(time)
    except OptionError as error:
        raise PlanError(f"edits.json: {error}") from None


def edited_values(
    edits: Edits, stage: Stage[Any], shot: Shot, index: FrameIndex, found: Mapping[str, Any]
) -> dict[str, Any]:
    """What one stage is told about one shot: findings, then options, then every change that touches the shot.

    Keys that the stage calls `timed` are gathered, each with its time. Raises PlanError for a change that the stage
    does not know or that cannot be.
    """
    values = stage.told(found)
    for change in edits.changes:
        if change.stage != stage.name:
            continue
        try:
            changed = stage.checked_edit(change.set)
        except OptionError as error:
            raise PlanError(f"edits.json: {error}") from None
        first, last = _edit_frame(change.start, index), _edit_frame(change.end, index)
        last = max(last, first + 1)
        if first < shot.end and last > shot.start:
            values.update({name: value for name, value in changed.items() if name not in stage.timed})
            span = {"from": int(index.pts[first]), "to": int(index.pts[last]) if last < len(index) else index.end_pts}
            for name in sorted(stage.timed & changed.keys()):
                values.setdefault(name, []).append({**span, "value": changed[name]})
    return values
