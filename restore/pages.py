"""Pages as calls: a job's report, its review, and comparisons of any two films."""

from __future__ import annotations

import os
from pathlib import Path

from restore.pipeline.job import disk_errors
from restore.recipe import Recipe
from restore.report.compare import compare as _compare
from restore.report.job_report import read_manifest, write_job_report
from restore.report.page import write_page
from restore.report.review import Review
from restore.stages import build_stage
from restore.steps import steps_of

StrPath = str | os.PathLike[str]


def report(job: StrPath) -> Path:
    """Write the report of a job folder, ``report.html`` in it; returns its path.

    Raises SourceNotFoundError or PlanError for what is no job folder.
    """
    folder = Path(job)
    with disk_errors(folder):
        return write_job_report(folder, steps_of(folder, read_manifest(folder)["recipe"]))


def review(job: StrPath) -> Review:
    """A finished job to be looked through shot by shot. Raises SourceNotFoundError or PlanError for what is none."""
    folder = Path(job)
    stages = Recipe.from_dict(read_manifest(folder)["recipe"]).stages
    editable = [(name, options) for name, options in stages if "strength" in build_stage(name, options).editable]
    return Review(folder, {name: float(getattr(options, "strength", 1.0)) for name, options in editable})


def compare(first: StrPath, second: StrPath, page: StrPath, truth: StrPath | None = None) -> Path:
    """Write a page that compares two films, moment by moment. Raises SourceNotFoundError, SourceError, OutputError."""
    path = Path(page)
    with disk_errors(path):
        write_page(_compare(os.fspath(first), os.fspath(second), None if truth is None else os.fspath(truth)), path)
    return path
