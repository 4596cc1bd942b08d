"""What compositors are handed besides the pictures: where the actor's face is in every frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from restore.errors import PlanError
from restore.faces.detect import POINTS
from restore.files import write_text
from restore.pipeline.analyse import stage_key
from restore.pipeline.arrays import PlanArrays
from restore.pipeline.index import FrameIndex
from restore.pipeline.job import Job, disk_errors
from restore.pipeline.plan import Edits

_COLUMNS = ("frame", "time", "weight", "frontal", "sharpness", "confidence", "points")


def write_tracks(folder: Path, path: Path) -> None:
    """Write the tracks of a job's re-aged actor as JSON, a line a frame.

    ``weight`` is how much of the change is made, 0 to 1; ``points`` are pixels of the source, from its upper left
    corner; times are seconds from the first frame. Raises PlanError, OutputError.
    """
    with disk_errors(path.parent), Job(folder) as job:
        if not job.plan.frames_path.exists():
            raise PlanError(f"{folder}: nothing is analysed yet; run the job first")
        stages = [stage["name"] for stage in job.manifest.get("recipe", {}).get("stage", [])]
        key = stage_key(stages.index("reage"), "reage")
        index = FrameIndex.load(job.plan.frames_path)
        tracks, size = [], [0, 0]
        for shot in job.plan.shots(job.plan.cuts(), index, Edits.load(job.plan.edits_path)):
            entry = job.plan.load_shot(shot)["stages"].get(key, {})
            values, arrays = entry.get("settled", {}), job.plan.arrays_path(entry)
            size = values.get("size", size)
            for number in values.get("actor", []) if arrays is not None else []:
                assert arrays is not None
                first = shot.start + int(values["faces"][number]["frames"][0])
                rows = np.asarray(PlanArrays(arrays)[f"face-{number}"], np.float64)
                tracks.append({"shot": shot.number + 1, "rows": _rows(rows, first, index)})
        write_text(path, _text({"version": 1, "size": size, "frame_rate": str(index.frame_rate)}, tracks))


def _rows(rows: np.ndarray[Any, np.dtype[np.float64]], first: int, index: FrameIndex) -> list[list[Any]]:
    listed = []
    for frame, row in enumerate(rows, first):
        time = round(float(index.span(frame, frame + 1)[0]), 6)
        points = row[4:14].reshape(5, 2).round(3).tolist()
        listed.append([frame, time, *(round(float(value), 4) for value in row[:4]), points])
    return listed


def _text(head: dict[str, Any], tracks: list[dict[str, Any]]) -> str:
    """JSON with a line a frame: a person can read it, and programs too."""
    facts = {**head, "points": list(POINTS), "columns": list(_COLUMNS)}
    body = ",\n".join(
        f' {{"shot": {track["shot"]}, "rows": [\n'
        + ",\n".join("  " + json.dumps(row) for row in track["rows"])
        + "\n ]}"
        for track in tracks
    )
    return json.dumps(facts)[:-1] + ',\n "tracks": [\n' + body + "\n ]\n}\n"
