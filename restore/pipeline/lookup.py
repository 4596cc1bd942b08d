"""Reading a job's plan back: what rendering is told of every shot, with its times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.errors import PlanError
from restore.frames import ColorInfo, PixelFormat, VideoFormat
from restore.pipeline.analyse import stage_key
from restore.pipeline.contract import Stage, Timeline
from restore.pipeline.index import FrameIndex
from restore.pipeline.job import Job
from restore.pipeline.plan import Edits, edited_values
from restore.pipeline.timeline import cuts_of, index_of, read_timeline, split_stages

ShotTimes = tuple[float, float, npt.NDArray[np.float64], Mapping[str, Any]]
"""Seconds at which a shot starts and ends, seconds of the frames its values name, and those values."""


def shot_values(job: Job, stages: Sequence[Stage[Any]]) -> Iterator[tuple[str, str, list[ShotTimes]]]:
    """For every picture stage its key in the plan, its name, and what the analysed shots are told, edits applied.

    Raises PlanError where the job has no plan yet.
    """
    plan = job.plan
    if not (plan.frames_path.exists() and plan.shots_path.exists()):
        raise PlanError(f"{job.folder}: nothing is analysed yet; run the job first")
    index, cuts, edits = FrameIndex.load(plan.frames_path), plan.cuts(), Edits.load(plan.edits_path)
    first, rest = split_stages(stages)
    timeline = read_timeline(plan.folder / "timeline.npz") if first is not None else None
    if first is not None and timeline is not None:
        index, cuts = _retimed(first, timeline, index), cuts_of(timeline, cuts)
    shots = plan.shots(cuts, index, edits)
    found = [plan.load_shot(shot)["stages"] for shot in shots]
    origin = int(index.pts[0])

    def seconds(pts: Any) -> npt.NDArray[np.float64]:
        return (np.asarray(pts, np.float64) - origin) * float(index.time_base)

    for place, stage in enumerate(rest):
        key = stage_key(place, stage.name)
        told: list[ShotTimes] = []
        for shot, own in zip(shots, found, strict=True):
            values = edited_values(edits, stage, shot, index, own.get(key, {}).get("values", {}))
            end = int(index.pts[shot.end]) if shot.end < len(index) else index.end_pts
            start, stop = (float(time) for time in seconds([int(index.pts[shot.start]), end]))
            told.append((start, stop, seconds(values.get("pts", [])), values))
        yield key, stage.name, told


def _retimed(stage: Stage[Any], timeline: Timeline, index: FrameIndex) -> FrameIndex:
    """The list of the new film's frames; of their format only the times matter here."""
    format = VideoFormat(2, 2, PixelFormat("gray", 8), ColorInfo(), index.time_base, index.frame_rate)
    return index_of(timeline, index, stage.output_format(format))
