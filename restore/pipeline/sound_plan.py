"""The plan of a sound track: what the analyzers found in it, and where a person changed something.

``plan/sound-1.json`` holds what is found in the first track, in words and numbers; arrays lie beside it, one ``.npz`` a
stage. ``edits.json`` is the same as for pictures: a change of a sound stage holds for a stretch of time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from restore.errors import OptionError, PlanError
from restore.files import whole
from restore.pipeline.audio_contract import AudioStage, State
from restore.pipeline.plan import Edits, read_json, write_json
from restore.pipeline.segments import digest
from restore.pipeline.sound_chain import Stretch
from restore.times import parse_time


class SoundPlan:
    """What is known of one track."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        self.path = folder / f"sound-{number}.json"

    def load(self) -> dict[str, Any]:
        """``{"track": {...}, "stages": {stage key: {"by": ..., "values": {...}}}}``, or the same, empty."""
        if not self.path.exists():
            return {"track": {}, "stages": {}}
        found = read_json(self.path)
        if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in ("track", "stages")):
            raise PlanError(f"{self.path}: not the plan of a sound track; delete it and run again")
        return found

    def save_track(self, by: str, facts: Mapping[str, Any]) -> None:
        """Write down what reading the track through has shown."""
        write_json(self.path, {**self.load(), "track": {"by": by, **facts}})

    def track(self, by: str) -> dict[str, Any] | None:
        """What `save_track` wrote, if it was of the same source."""
        found: dict[str, Any] = self.load()["track"]
        return found if found.get("by") == by else None

    def save_state(self, key: str, by: str, state: State) -> None:
        """Write down what one stage's analyzer found."""
        _json_values(key, state)
        path = self._arrays(key)
        if state.arrays:
            with whole(path) as file:
                arrays: dict[str, Any] = {name: np.asarray(array) for name, array in state.arrays.items()}
                np.savez_compressed(file, **arrays)
        else:
            path.unlink(missing_ok=True)
        found = self.load()
        entry = {"by": by, "values": dict(state.values), "arrays": sorted(state.arrays)}
        write_json(self.path, {**found, "stages": {**found["stages"], key: entry}})

    def state(self, key: str, by: str) -> State | None:
        """What `save_state` wrote, if it was found under the same circumstances. Raises PlanError."""
        entry = self.load()["stages"].get(key, {})
        if not isinstance(entry, dict) or entry.get("by") != by:
            return None
        path = self._arrays(key)
        arrays: dict[str, npt.NDArray[Any]] = {}
        if entry.get("arrays"):
            try:
                with np.load(path, allow_pickle=False) as stored:
                    arrays = {name: stored[name] for name in entry["arrays"]}
            except (OSError, ValueError, KeyError, BadZipFile):
                return None  # found again
        return State(entry.get("values", {}), arrays)

    def _arrays(self, key: str) -> Path:
        return self.folder / f"sound-{self.number}-{key}.npz"


def _json_values(key: str, state: State) -> None:
    digest({"values": dict(state.values)})  # raises TypeError here, where the stage can be named, not while writing
    for name, array in state.arrays.items():
        if np.asarray(array).dtype == object:
            raise TypeError(f"{key}: {name}: arrays of a state hold numbers")


def state_digest(state: State) -> str:
    """A hash of everything a state says."""
    arrays = {
        name: [str(array.dtype), list(array.shape), hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]
        for name, array in sorted(state.arrays.items())
    }
    return digest({"values": dict(state.values), "arrays": arrays})


def stretches_of(
    edits: Edits, stages: Sequence[AudioStage[Any]], rate: int, frame_rate: Fraction, start: Fraction
) -> list[list[Stretch]]:
    """For each stage, what a person changed, and for which samples of a track.

    Times of edits count from the first picture of a film; `start` is when the track's first sample is heard on that
    clock, in seconds. Raises PlanError for a change that a stage does not know.
    """
    found: list[list[Stretch]] = [[] for _ in stages]
    for change in edits.changes:
        for place, stage in enumerate(stages):
            if change.stage != stage.name:
                continue
            try:
                edited = stage.edited(change.set)
                times = [parse_time(time, frame_rate) for time in (change.start, change.end)]
            except OptionError as error:
                raise PlanError(f"edits.json: {error}") from None
            first, stop = (round((time - start) * rate) for time in times)
            if stop <= first:
                raise PlanError(f"edits.json: {stage.name}: {change.end} is not after {change.start}")
            if stop > 0:
                found[place].append(Stretch(max(0, first), stop, edited))
    return found
