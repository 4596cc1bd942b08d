"""A job's report: what its folder knows, and stills of its source and output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from restore.errors import PlanError, RestoreError, SourceNotFoundError
from restore.media.options import InputOptions
from restore.pipeline.index import FrameIndex
from restore.pipeline.journal import Journal
from restore.pipeline.plan import Edits, Plan, read_json
from restore.pipeline.stills import Kept, shown_size
from restore.report.film import Film
from restore.report.measures import Measured, flicker, measure
from restore.report.moments import Moments, choose, kept_moments, kept_repairs
from restore.report.page import Page, Step, write_page, write_poster
from restore.report.sound import TrackReport, sound_report
from restore.times import format_duration, format_time

REPORT = "report.html"
POSTER = "poster.jpg"
"""Beside it: the still with the most to see, small, for lists of jobs."""
PLOTS = "plots"
"""Below the job folder: pictures that stages draw of their plans; all of them go into the report."""


def write_job_report(folder: Path, steps: Sequence[Step]) -> Path:
    """Write ``report.html`` into a job folder; returns its path.

    Args:
        folder: the job's.
        steps: what each stage did.

    Raises SourceNotFoundError or PlanError for what is no job, and OSError.
    """
    path = folder / REPORT
    page = job_page(folder, steps)
    write_page(page, path)
    if page.moments.compared:
        poster = max(page.moments.compared, key=lambda pair: float(pair.after.std())).after
        write_poster(poster, folder / POSTER)
    return path


def read_manifest(folder: Path) -> dict[str, Any]:
    """``job.json`` of a job that has an output. Raises SourceNotFoundError, PlanError."""
    if not (folder / "job.json").is_file():
        raise SourceNotFoundError(f"{folder}: holds no job.json, so it is no job folder")
    manifest = read_json(folder / "job.json")
    try:
        if not all(isinstance(text, str) for text in (manifest["source"]["path"], manifest["output"])):
            raise TypeError
        manifest["recipe"]["stage"], manifest["recipe"]["input"]
    except (KeyError, TypeError):
        raise PlanError(f"{folder / 'job.json'}: says of no source, output or recipe; was the job ever run?") from None
    found: dict[str, Any] = manifest
    return found


def job_page(folder: Path, steps: Sequence[Step]) -> Page:
    """What the report of a job says. Raises as `write_job_report`."""
    manifest = read_manifest(folder)
    output = str(manifest["output"])
    troubles = [_damage(found) for found in manifest.get("damaged", [])]
    made = manifest.get("finished") or {}
    tracks: list[TrackReport] = []
    moments, facts, smaller = Moments((), ()), list[tuple[str, str]](), None
    try:
        if made.get("sound"):
            tracks = sound_report(folder)
        if manifest.get("pictures") == "copied":
            facts = [("source", str(manifest["source"]["path"])), ("repaired", output)]
        else:
            moments, facts, smaller = _look(folder, manifest)
    except RestoreError as error:
        troubles.append(f"nothing to see or hear: {error}" if made.get("sound") else f"no stills: {error}")
    measured = measure([(pair.before, pair.after) for pair in moments.compared], size=smaller)
    measured += _flicker(_kept(folder, manifest))
    return Page(
        Path(output).name, ("source", "restored"),
        (*facts, *(fact for track in tracks for fact in track.facts()), *_job_facts(folder, manifest)), moments,
        tuple(measured), tuple(steps), tuple(_plots(folder)),
        tuple(sound for track in tracks for sound in track.sounds()), tuple(troubles),
        tuple(kept_repairs(_kept(folder, manifest))),
    )  # fmt: skip


def _flicker(kept: Kept) -> list[Measured]:
    before, after = (flicker([run[side] for run in kept.brightness()]) for side in (0, 1))
    if before is None or after is None:
        return []
    meaning = "frame to frame, of the mean brightness of all frames"
    return [Measured("flicker", 100 * before, 100 * after, "%", meaning)]


def _kept(folder: Path, manifest: dict[str, Any]) -> Kept:
    """The stills of what the output shows."""
    made = manifest.get("finished") or {}
    first = int(made.get("first", 0))
    return Kept(folder, range(first, first + int(made.get("frames", 0))))


def _look(folder: Path, manifest: dict[str, Any]) -> tuple[Moments, list[tuple[str, str]], tuple[int, int]]:
    """What is shown of a job, the facts of its films, and the size of the source's stills."""
    made = manifest.get("finished") or {}
    begins = Fraction(made.get("begins", 0)).limit_denominator(1_000_000)
    options = InputOptions.model_validate(manifest["recipe"]["input"])
    with Film(manifest["source"]["path"], options) as before, Film(str(manifest["output"])) as after:
        facts, shots = film_facts(before, after), job_shots(folder, begins, after)
        moments = kept_moments(_kept(folder, manifest), shots, begins) or choose(before, after, shots, begins)
        return moments, facts, shown_size(before.format)


def film_facts(before: Film, after: Film) -> list[tuple[str, str]]:
    """What the two films are, for the head of a page."""
    return [("source", _line(before)), ("restored", _line(after))]


def _line(film: Film) -> str:
    format = film.format
    length = film.time(len(film) - 1)
    return (
        f"{film.name}: {format.width}x{format.height}, {len(film)} frames, {format_time(length)}, {format.pixel.name}, "
        f"{format.color.matrix} {format.color.range}"
    )


def _job_facts(folder: Path, manifest: dict[str, Any]) -> list[tuple[str, str]]:
    entries = Journal(folder / "journal.jsonl").entries.values()
    facts = [("made by", f"restore {manifest.get('restore', '?')}")]
    device = manifest.get("device") or {}
    if device:
        facts.append(("computed on", ", ".join(str(value) for value in device.values())))
    if entries:
        seconds = sum(entry.seconds for entry in entries)
        frames = sum(entry.end - entry.start for entry in entries)
        facts.append(("rendered", f"{frames} frames in {len(entries)} segments, {format_duration(seconds)} of work"))
    if (folder / "edits.json").exists():
        edits = Edits.load(folder / "edits.json")
        facts.append(("edits", f"{len(edits.changes)} changes, {len(edits.cuts.add)} cuts added, "
                      f"{len(edits.cuts.remove)} removed"))  # fmt: skip
    facts.append(("job folder", str(folder)))
    return facts


def _damage(found: dict[str, Any]) -> str:
    missing = "missing sound" if found.get("kind") == "silent" else "missing frames"
    what = f"{found['frames']} corrupt frames" if found.get("frames") else missing
    return f"damaged source: {format_time(found['start'])} to {format_time(found['end'])}: {what}"


def job_shots(folder: Path, begins: Fraction, after: Film) -> list[tuple[Fraction, Fraction]]:
    """(start, end) of every shot that the output shows, in seconds from its first frame."""
    end = after.time(len(after) - 1)
    plan = Plan(folder)
    if not (plan.frames_path.exists() and plan.shots_path.exists()):
        return [(Fraction(0), end)]
    index = FrameIndex.load(plan.frames_path)
    shots = plan.shots(plan.cuts(), index, Edits.load(plan.edits_path))
    whole = [index.span(shot.start, shot.end) for shot in shots]
    spans = [(start - begins, stop - begins) for start, stop in whole]
    return [(max(Fraction(0), start), min(end, stop)) for start, stop in spans if stop > 0 and start <= end]


def _plots(folder: Path) -> list[tuple[str, bytes]]:
    # "2-deflicker" is the second stage's, "sound-1-levels" the first track's.
    return [
        (re.sub(r"^\d+-", "", path.stem).replace("-", " "), path.read_bytes())
        for path in sorted((folder / PLOTS).glob("*.png"))
    ]
