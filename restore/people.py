"""Finding the people of a film: their faces followed shot by shot, written into the plan, shown on a contact sheet."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from restore.errors import CancelledError, PlanError, SourceError
from restore.faces.detect import Detector, choose_detector, watched_picture, watched_size
from restore.faces.gallery import Gallery
from restore.faces.identify import Embedder, Person, Said, cast, choose_embedder, embedder_name, group
from restore.faces.quality import SMALL
from restore.faces.track import EVERY, ShotTracker, Track
from restore.files import write_text
from restore.frames import Shot
from restore.media.open import identity, open_source
from restore.media.options import InputOptions
from restore.pipeline.index import FrameIndex
from restore.pipeline.job import Job, default_folder, disk_errors
from restore.pipeline.listing import list_frames
from restore.pipeline.picture import Converter
from restore.pipeline.plan import Edits, Plan, read_json, write_json
from restore.pipeline.progress import Meter, OnProgress
from restore.pipeline.reader import FrameReader
from restore.pipeline.stills import Rgb
from restore.report.film import Film
from restore.report.people_sheet import Appearance, Portrait, Row, portrait, write_sheet

StrPath = str | os.PathLike[str]
Array = npt.NDArray[np.float64]

VERSION = 2
"""Of what is found; raised when the same film would give other tracks."""
_PORTRAITS = 6


@dataclass(frozen=True)
class Found:
    """What `find_people` found and wrote."""

    folder: Path
    """The job folder."""
    people: tuple[Person, ...]
    tracks: dict[int, Track]
    """By number."""
    rows: tuple[Row, ...]
    frames: int
    """Of the film."""
    sheet: Path
    page: Path


def find_people(
    source: StrPath,
    work_dir: StrPath | None = None,
    *,
    detector: str = "auto",
    input: InputOptions = InputOptions(),
    on_progress: OnProgress | None = None,
    cancel: Event | Callable[[], bool] | None = None,
) -> Found:
    """Find the people of a film, follow their faces, and write tracks and a contact sheet into a job folder.

    What was found already is not looked for again; edits are heeded anew each time.

    Args:
        source: a film, a pattern or folder of pictures, or one picture.
        work_dir: the job folder; ``SOURCE.restore`` beside the source if not given.
        detector: ``auto``, ``haar``, ``yunet``, ``retinaface`` or the path of a file of either network.
        input: how the source is read.
        on_progress, cancel: as in `restore.run`.

    Raises SourceNotFoundError, SourceError (also where there is no face, or only faces under 32 pixels), OptionError,
    WeightsError, PlanError, OutputError, OutputExistsError, JobBusyError, CancelledError.
    """
    name = os.fspath(source)
    cancelled = cancel.is_set if isinstance(cancel, Event) else cancel or (lambda: False)

    def check() -> None:
        if cancelled():
            raise CancelledError("interrupted; the same command goes on from here")

    looking = choose_detector(detector)
    known = identity(name, input)
    folder = Path(work_dir) if work_dir is not None else default_folder(Path(name))
    with disk_errors(folder), Job(folder) as job:
        job.adopt(known, overwrite=False)
        job.update_manifest(source={"path": str(Path(name).absolute()), "identity": known})
        edits = Edits.load(job.plan.edits_path)
        index = _listed(name, input, job.plan, on_progress, check)
        shots = job.plan.shots(job.plan.cuts(), index, edits)
        by_whom = embedder_name() or "hand"
        spans = [[shot.start, shot.end] for shot in shots]
        by = _digest(VERSION, known, looking.name, detector, by_whom, EVERY, spans)
        tracks = _Tracks(job.plan)
        if not tracks.fit(by):
            embedder = choose_embedder()
            found, vectors = _follow(name, input, index, shots, looking, embedder, on_progress, check)
            _check(name, found, len(index))
            alike = embedder.alike if embedder else 2.0
            numbers = group([(track.start, track.stop) for track in found], vectors, alike)
            tracks.save(found, numbers, shots, index, {"by": by, "detector": looking.name, "grouped by": by_whom})
        paths, people = tracks.load()
        listed = cast(people, [Said(e.track, e.person, e.same_as, e.name, e.drop) for e in edits.people])
        if not listed:
            raise PlanError(f"{job.plan.edits_path}: drops every person that was found; nobody is left")
        rows = _rows(name, input, index, paths, listed)
        sheet, page = folder / "faces.png", folder / "faces.html"
        write_sheet(rows, f"People in {Path(name).name}", _note(looking.name, rows, edits), sheet, page)
    return Found(folder, tuple(listed), paths, tuple(rows), len(index), sheet, page)


def _listed(
    name: str, input: InputOptions, plan: Plan, report: OnProgress | None, check: Callable[[], None]
) -> FrameIndex:
    if plan.frames_path.exists() and plan.shots_path.exists():
        return FrameIndex.load(plan.frames_path)
    with open_source(name, input) as opened:
        meter = Meter("list", None, report)
        index = list_frames(opened, plan, meter, check, name)
        meter.finish()
    return index


def _follow(
    name: str, input: InputOptions, index: FrameIndex, shots: Sequence[Shot], detector: Detector,
    embedder: Embedder | None, report: OnProgress | None, check: Callable[[], None],
) -> tuple[list[Track], list[Array | None]]:  # fmt: skip
    """Every face of every shot, in the order of the film, and of each what tells it from others."""
    found: list[Track] = []
    vectors: list[Array | None] = []
    meter = Meter("analyse", len(index), report)
    with open_source(name, input) as source, closing(FrameReader(source, index)) as reader, torch.inference_mode():
        format = source.format
        size = watched_size(format.width, format.height, float(format.sample_aspect))
        upright = (max(8, round(format.width * float(format.sample_aspect))), format.height)
        scale = np.array((format.width / size[0], format.height / size[1]))
        transfer = input.transfer if input.transfer != "auto" else format.color.transfer
        converter = Converter(torch.device("cpu"), transfer if transfer in ("linear", "log") else "display")
        for shot in shots:
            tracker, gallery = ShotTracker(detector, shot.start, scale), Gallery(shot.start)
            for number, frame in enumerate(reader.read(range(shot.start, shot.end)), shot.start):
                # As the stages' analyzers see it, so that they find the same faces and number them alike.
                pixels = converter.pixels(converter.upload([(number, frame)], format), "rgb")[0]
                whole = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
                tracker.add(watched_picture(whole, size))
                if embedder is not None and gallery.wants(number):
                    gallery.add(number, watched_picture(whole, upright), format)
                meter.add()
                check()
            tracks = tracker.finish()
            found += tracks
            vectors += gallery.vectors(tracks, embedder) if embedder is not None else [None] * len(tracks)
    meter.finish()
    return found, vectors


def _check(name: str, found: Sequence[Track], frames: int) -> None:
    if not found:
        raise SourceError(
            f"{name}: no face was found in its {frames} frames; `restore models pull yunet` fetches a detector that "
            "also sees turned faces"
        )
    largest = max(float(track.boxes[:, 2].max()) for track in found)
    if largest < SMALL:
        raise SourceError(
            f"{name}: there are only faces under {SMALL} pixels (the largest is {largest:.0f} wide): too small to work "
            "on; enlarge the film first with `restore upscale`"
        )


def best_frames(track: Track, count: int) -> list[int]:
    """The best seen frame of each of `count` equal parts of a track, by number in the film."""
    parts = np.array_split(np.arange(len(track)), min(count, len(track)))
    return [track.start + int(part[np.argmax(track.quality[part])]) for part in parts]


class _Tracks:
    """``plan/faces.json``, and ``plan/face-0001.json`` for the path of each track."""

    def __init__(self, plan: Plan) -> None:
        self._folder = plan.folder
        self._list = plan.folder / "faces.json"

    def _path(self, number: int) -> Path:
        return self._folder / f"face-{number:04d}.json"

    def fit(self, by: str) -> bool:
        """Whether what is there was found in the same way."""
        return self._list.exists() and isinstance(raw := read_json(self._list), dict) and raw.get("by") == by

    def save(
        self, tracks: Sequence[Track], people: Sequence[int], shots: Sequence[Shot], index: FrameIndex,
        facts: dict[str, Any],
    ) -> None:  # fmt: skip
        """Write everything; the list last, so that it is there only with all it names."""
        for old in self._folder.glob("face-*.json"):
            old.unlink()
        listed = []
        for number, (track, person) in enumerate(zip(tracks, people, strict=True), 1):
            _write_path(self._path(number), number, track)
            shot = next(shot.number for shot in shots if shot.start <= track.start < shot.end)
            listed.append({
                "track": number, "person": person, "shot": shot, "frames": [track.start, track.stop],
                "from": f"{float(_time(index, track.start)):.3f}", "to": f"{float(_time(index, track.stop)):.3f}",
                "found in": track.seen, "width": round(float(np.median(track.boxes[:, 2])), 1),
                "quality": round(float(track.quality.mean()), 3), "frontal": round(float(track.frontal.mean()), 3),
                "sharpness": round(float(track.sharpness.mean()), 3),
            })  # fmt: skip
        write_json(self._list, {"version": VERSION, **facts, "tracks": listed})

    def load(self) -> tuple[dict[int, Track], dict[int, int]]:
        """The tracks by number, and whose each was found to be. Raises PlanError."""
        try:
            listed = read_json(self._list)["tracks"]
            people = {int(entry["track"]): int(entry["person"]) for entry in listed}
            seen = {int(entry["track"]): int(entry["found in"]) for entry in listed}
            tracks = {number: _read_path(self._path(number), seen[number]) for number in people}
        except (KeyError, TypeError, ValueError, IndexError):
            raise PlanError(f"{self._list}: not a list of faces; delete it and run `restore faces` again") from None
        return tracks, people


_COLUMNS = ("frame", "box", "confidence", "frontal", "sharpness", "points")


def _write_path(path: Path, number: int, track: Track) -> None:
    """A line a frame: a person can read it, and programs too."""
    rows = []
    for place in range(len(track)):
        box, points = track.boxes[place].round(3).tolist(), track.points[place].round(3).tolist()
        scores = [round(float(v[place]), 3) for v in (track.confidence, track.frontal, track.sharpness)]
        rows.append("  " + json.dumps([track.start + place, box, *scores, points]))
    head = f'{{\n "track": {number},\n "columns": {json.dumps(_COLUMNS)},\n "rows": [\n'
    write_text(path, head + ",\n".join(rows) + "\n ]\n}\n")


def _read_path(path: Path, seen: int) -> Track:
    rows = read_json(path)["rows"]
    frames = [int(row[0]) for row in rows]
    if frames != list(range(frames[0], frames[0] + len(frames))):
        raise ValueError
    numbers = [np.array([row[column] for row in rows], np.float64) for column in range(1, 6)]
    if numbers[0].shape != (len(rows), 4) or numbers[4].shape != (len(rows), 5, 2):
        raise ValueError
    return Track(frames[0], numbers[0], numbers[4], numbers[1], numbers[2], numbers[3], seen)


def _time(index: FrameIndex, frame: int) -> Fraction:
    pts = int(index.pts[frame]) if frame < len(index) else index.end_pts
    return (pts - int(index.pts[0])) * index.time_base


def _rows(
    name: str, input: InputOptions, index: FrameIndex, tracks: dict[int, Track], people: Iterable[Person]
) -> list[Row]:
    """The people as the sheet shows them: for each the best frames of their longest tracks."""
    rows = []
    with Film(name, input) as film:
        aspect = film.size[0] / film.format.width
        for person in people:
            chosen = _shown([tracks[number] for number in person.tracks])
            stills = dict(film.stills([film.at(_time(index, frame)) for frame, _ in chosen], film.size))
            portraits = [
                Portrait(_portrait(stills[at], track, frame, aspect), _time(index, frame),
                         float(track.quality[frame - track.start]))
                for frame, track in chosen if (at := film.at(_time(index, frame))) in stills
            ]  # fmt: skip
            appearances = [_appearance(number, tracks[number], index) for number in person.tracks]
            rows.append(Row(person.number, person.name, tuple(appearances), tuple(portraits)))
    return rows


def _shown(tracks: Sequence[Track]) -> list[tuple[int, Track]]:
    longest = sorted(tracks, key=lambda track: -len(track))[:_PORTRAITS]
    each = max(1, _PORTRAITS // len(longest))
    frames = [(frame, track) for track in longest for frame in best_frames(track, each)]
    return sorted(frames, key=lambda pair: pair[0])[:_PORTRAITS]


def _portrait(picture: Rgb, track: Track, frame: int, aspect: float) -> Rgb:
    x, y, width, height = track.boxes[frame - track.start]
    return portrait(picture, (x * aspect, y, width * aspect, height))


def _appearance(number: int, track: Track, index: FrameIndex) -> Appearance:
    width, quality = float(np.median(track.boxes[:, 2])), float(track.quality.mean())
    times = _time(index, track.start), _time(index, track.stop)
    return Appearance(number, *times, width, quality, track.seen / len(track))


def _note(detector: str, rows: Sequence[Row], edits: Edits) -> str:
    changed = f", {len(edits.people)} changed by hand" if edits.people else ""
    people = "1 person" if len(rows) == 1 else f"{len(rows)} people"
    return f"{people}, found by {detector}{changed}. Under each face: time, quality 0 to 1."


def _digest(*facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
