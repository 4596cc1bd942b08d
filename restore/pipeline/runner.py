"""Running a job: list, analyse, render, join, verify. Can be stopped anywhere; the same call goes on from there."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from restore import __version__
from restore.errors import CancelledError, OptionError
from restore.frames import Shot
from restore.media.codecs import EncoderSettings
from restore.media.mux import MuxPlan, join
from restore.media.open import open_source
from restore.media.picture_output import PictureOutput
from restore.media.verify import verify
from restore.pipeline.analyse import stage_facts
from restore.pipeline.contract import Timeline, TimelineStage, Watcher
from restore.pipeline.index import DamagedRange, FrameIndex
from restore.pipeline.job import Job, disk_errors
from restore.pipeline.journal import Journal
from restore.pipeline.label import consents, label
from restore.pipeline.listing import list_frames
from restore.pipeline.plan import Edits
from restore.pipeline.progress import Meter, OnProgress
from restore.pipeline.reader import FrameReader
from restore.pipeline.render import Engine, RenderTask, Work
from restore.pipeline.segments import Segment, clip_segments, cut_segments, digest
from restore.pipeline.setup import Setup, check_existing, check_space
from restore.pipeline.sound_job import SoundJob
from restore.pipeline.stills import tidy
from restore.pipeline.study import Analyst, Study
from restore.pipeline.timeline import FirstLook, cuts_of, index_of, load_timeline, save_timeline, split_stages


@dataclass(frozen=True)
class JobResult:
    """What a run came to."""

    output: Path
    folder: Path
    frames: int
    rendered: int
    """Frames rendered by this run; the rest was there already."""
    seconds: float
    damaged: tuple[DamagedRange, ...] = ()
    notes: tuple[str, ...] = ()
    unchanged: bool = False
    """Nothing was left to do."""
    unit: str = "frames"
    """What `frames` and `rendered` count; ``s of sound`` where only sound was repaired."""


@dataclass(frozen=True)
class Film:
    """What is to be rendered, listed."""

    edits: Edits
    task: RenderTask
    shots: list[Shot]
    damaged: tuple[DamagedRange, ...]
    notes: tuple[str, ...]


@dataclass
class Runner:
    """One run of one job."""

    setup: Setup
    engine: Engine
    on_progress: OnProgress | None = None
    cancelled: Callable[[], bool] = field(default=lambda: False)
    sound: SoundJob | None = field(default=None, init=False)
    _look: FirstLook | None = field(default=None, init=False)

    def check(self) -> None:
        """Raise CancelledError once the caller wants to stop."""
        if self.cancelled():
            raise CancelledError(f"stopped; the same command goes on from here (job folder {self.setup.folder})")

    def run(self) -> JobResult:
        """Do whatever is left to do. Raises RestoreError; the job folder keeps all that is finished."""
        with disk_errors(self.setup.folder), Job(self.setup.folder) as job:
            return self._run(job)

    def _run(self, job: Job) -> JobResult:
        started = time.monotonic()
        request = self.setup.request
        film = self._film(job)
        index, shots = film.task.index, film.shots
        first, stop = self._span(index)
        task = replace(film.task, first=first)
        values = self._analyse(job, film, [s for s in shots if s.start < stop and s.end > first])
        segments = cut_segments(shots)
        if (first, stop) != (0, len(index)):
            segments = clip_segments(segments, first, stop)
        if self.setup.sound is not None:
            times = None if (first, stop) == (0, len(index)) else self._times(index, first, stop)
            self.sound = SoundJob(self.setup.sound, job, film.edits, self.on_progress, self.check, times)
            self.sound.run()
        facts = self._facts(first)
        works = [self._work(job, segment, task, shots, values, facts) for segment in segments]
        journal = job.journal()
        rendered = self._render(job, journal, task, works, stop)
        unchanged = not rendered and self._is_current(job, works)
        if not unchanged:
            self._finish(job, journal, index, works, first, stop)
        notes = (*self.setup.notes, *film.notes)
        damaged = film.damaged
        if self.sound is not None:
            notes, damaged = (*notes, *self.sound.notes), (*damaged, *self.sound.holes)
        return JobResult(
            request.output, self.setup.folder, stop - first, rendered, time.monotonic() - started,
            damaged, notes, unchanged,
        )  # fmt: skip

    def _film(self, job: Job) -> Film:
        """Take up the job, and list what there is to be rendered."""
        setup = self.setup
        request = setup.request
        job.adopt(setup.identity, request.overwrite)
        check_existing(request, job, setup.output if isinstance(setup.output, PictureOutput) else None)
        edits = Edits.load(job.plan.edits_path)
        edits.check_stages([*(stage.name for stage in request.stages), *(stage.name for stage in request.sound)])
        job.update_manifest(
            restore=__version__,
            source={"path": str(Path(request.source).absolute()), "identity": setup.identity},
            output=str(request.output.absolute()),
            recipe=request.recipe,
            consent=consents([*request.stages, *request.sound]),
            encoder_threads=setup.film.threads if setup.film else None,
            device={"type": setup.device.torch_device.type, "precision": setup.device.precision},
        )
        listed = self._list(job)
        damaged = tuple(listed.damaged())
        job.update_manifest(damaged=[found.as_json() for found in damaged])
        timeline = self._timeline(job, listed, edits)
        index = index_of(timeline, listed, setup.formats[1]) if timeline else listed
        for stage in split_stages(request.stages)[1]:
            stage.check_film(index)
        task = RenderTask(
            request.source, request.input, request.stages, setup.device, setup.transfer, request.batch, setup.output,
            index, self._decoder_threads(listed), 0, (timeline, listed) if timeline else None,
        )  # fmt: skip
        cuts = cuts_of(timeline, job.plan.cuts()) if timeline else job.plan.cuts()
        shots = job.plan.shots(cuts, index, edits)
        return Film(edits, task, shots, damaged, (timeline.note,) if timeline else ())

    def _list(self, job: Job) -> FrameIndex:
        path, shots = job.plan.frames_path, job.plan.shots_path
        if path.exists() and shots.exists():
            index = FrameIndex.load(path)
            if index.time_base == self.setup.info.format.time_base:  # a sequence's rate may be given anew
                return index
        with open_source(self.setup.request.source, self.setup.request.input) as source:
            meter = Meter("list", self.setup.info.frame_count, self.on_progress)
            stage, _ = split_stages(self.setup.request.stages)
            self._look = FirstLook(stage, source.format) if stage is not None else None
            index = list_frames(source, job.plan, meter, self.check, self.setup.info.path, self._look)
            meter.finish()
            return index

    def _timeline(self, job: Job, listed: FrameIndex, edits: Edits) -> Timeline | None:
        """The frames of the film, where the recipe begins with a stage that changes which there are."""
        request = self.setup.request
        stage, _ = split_stages(request.stages)
        if stage is None:
            return None
        path = job.plan.folder / "timeline.npz"
        shots = job.plan.shots(job.plan.cuts(), listed, edits)
        signature = digest({"stage": stage_facts([stage]), "cuts": [shot.start for shot in shots]})
        known = load_timeline(path, signature)
        if known is not None:
            return known
        pts = [*(int(time) for time in listed.pts), listed.end_pts]
        found = stage.find(self._seen(stage, listed), pts, shots)
        save_timeline(found, path, signature)
        return found

    def _seen(self, stage: TimelineStage[Any], listed: FrameIndex) -> Watcher:
        """What of the stage has seen the whole film: while it was listed, if that was just now."""
        if self._look is not None and (seen := self._look.whole(len(listed))) is not None:
            return seen
        meter = Meter("analyse", len(listed), self.on_progress)
        with open_source(self.setup.request.source, self.setup.request.input) as source:
            source.threads = self._decoder_threads(listed)
            watcher = stage.watcher(source.format)
            with closing(FrameReader(source, listed)) as reader:
                for frame in reader.read(range(len(listed))):
                    watcher.add(frame)
                    meter.add()
                    self.check()
        meter.finish()
        return watcher

    def _span(self, index: FrameIndex) -> tuple[int, int]:
        request = self.setup.request
        if request.start is None and request.end is None:
            return 0, len(index)
        first = 0 if request.start is None else index.find(request.start)
        stop = len(index) if request.end is None else index.find(request.end)
        if first >= len(index):
            length = float((index.end_pts - int(index.pts[0])) * index.time_base)
            raise OptionError(f"--start {request.start} lies behind the end of the film ({length:.3f} s)")
        if first >= stop:
            raise OptionError(f"no frame lies between --start {request.start or 0} and --end {request.end}")
        return first, stop

    def _decoder_threads(self, index: FrameIndex) -> int:
        return 1 if index.decode_errors or len(index.lost) or bool(index.corrupt.any()) else 0

    def _analyse(self, job: Job, film: Film, shots: Sequence[Shot]) -> dict[int, tuple[dict[str, Any], ...]]:
        with Analyst(film.task, job.folder, film.edits) as analyst:
            self._study(job, film, analyst.unsettled(film.shots), film_wide=True)
            analyst.settle(film.shots)
            self._study(job, film, analyst.pending(shots), film_wide=False)
            return {shot.number: analyst.values(shot) for shot in shots}

    def _study(self, job: Job, film: Film, shots: Sequence[Shot], film_wide: bool) -> None:
        if not shots:
            return
        meter = Meter("analyse", sum(len(shot) for shot in shots), self.on_progress)
        studies = [Study(shot, job.folder, film.edits, film_wide) for shot in shots]
        self.engine.analyse(film.task, studies, meter.add, self.check)
        meter.finish()

    @staticmethod
    def _times(index: FrameIndex, first: int, stop: int) -> tuple[Fraction, Fraction]:
        """When frames [first, stop) begin and end, in seconds of the source's clock."""
        end = int(index.pts[stop - 1]) + index.duration_of(stop - 1)
        return int(index.pts[first]) * index.time_base, end * index.time_base

    def _facts(self, first: int) -> dict[str, Any]:
        """What every segment's pixels and bytes depend on alike."""
        setup = self.setup
        return {
            "source": setup.identity,
            "stages": stage_facts(setup.request.stages),
            "input": [setup.transfer, str(setup.request.input.fps), setup.request.input.hold],
            "output": setup.output.describe(),
            "first": 0 if setup.film else first,  # the files of a sequence are numbered from there
            "device": [setup.device.torch_device.type, setup.device.precision, torch.__version__],
            "restore": __version__,
        }

    def _work(
        self, job: Job, segment: Segment, task: RenderTask, shots: Sequence[Shot],
        values: dict[int, tuple[dict[str, Any], ...]], facts: dict[str, Any],
    ) -> Work:  # fmt: skip
        touched = [shot for shot in shots if shot.start < segment.end and shot.end > segment.start]
        pts = task.index.pts
        if task.timeline is not None:
            rows = task.timeline[0].rows[segment.start : segment.end]
            facts = {**facts, "timeline": hashlib.sha256(rows.tobytes()).hexdigest()}
        key = digest(
            {
                **facts,
                "frames": [segment.start, segment.end, int(pts[segment.start]), int(pts[segment.end - 1])],
                "shots": [[shot.start, shot.end, list(values[shot.number])] for shot in touched],
            }
        )
        return Work(segment, key, job.segment_path(key), tuple((shot, values[shot.number]) for shot in touched))

    def _is_done(self, journal: Journal, work: Work, first: int) -> bool:
        entry = journal.entries.get(work.key)
        if entry is None:
            return False
        if isinstance(self.setup.output, EncoderSettings):
            return work.path.exists() and work.path.stat().st_size == entry.bytes
        return self.setup.output.all_exist(work.segment.start - first, work.segment.end - first)

    def _render(self, job: Job, journal: Journal, task: RenderTask, works: Sequence[Work], stop: int) -> int:
        setup, first = self.setup, task.first
        todo = [work for work in works if not self._is_done(journal, work, first)]
        if todo and not journal.entries and self._is_current(job, works):
            return 0  # segments were discarded or cleaned away after the film was made
        frames = sum(len(work.segment) for work in todo)
        done = stop - first - frames
        check_space(setup, stop - first, done)
        meter = Meter("render", stop - first, self.on_progress, done)
        if not todo:
            return 0
        if isinstance(setup.output, PictureOutput):
            # Pictures lie at their final names: what is there now is written over, and whole no more.
            keys = {work.key for work in works} - {work.key for work in todo}
            journal.forget([key for key in journal.entries if key not in keys])
            job.update_manifest(writing=str(Path(setup.output.pattern).absolute()))
        self.engine.run(task, todo, journal.add, meter.add, self.check)
        meter.finish()
        return frames

    def _output_key(self, works: Sequence[Work]) -> str:
        request = self.setup.request
        return digest(
            {
                "segments": [work.key for work in works],
                "streams": [stream.index for stream in self.setup.copied],
                "audio": [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in self.setup.audio],
                "master": request.options.master,
                "span": [request.start, request.end],
                **({"sound": self.sound.key()} if self.sound else {}),
            }
        )

    def _is_current(self, job: Job, works: Sequence[Work]) -> bool:
        made = job.manifest.get("finished", {})
        if made.get("key") != self._output_key(works):
            return False
        output = self.setup.output
        if isinstance(output, PictureOutput) and not output.single:
            first, stop = works[0].segment.start, works[-1].segment.end
            return output.all_exist(0, stop - first)
        return job.owns_output(self.setup.request.output)

    def _finish(
        self, job: Job, journal: Journal, index: FrameIndex, works: Sequence[Work], first: int, stop: int
    ) -> None:
        output = self.setup.output
        made: dict[str, Any] = {
            "key": self._output_key(works), "output": str(self.setup.request.output.absolute()),
            "begins": float((int(index.pts[first]) - int(index.pts[0])) * index.time_base),
            "first": first, "frames": stop - first,
        }  # fmt: skip
        if isinstance(output, EncoderSettings):
            made = self._join(job, made, output, journal, index, works, first, stop)
        elif output.single:
            made |= job.file_facts(self.setup.request.output)
            job.update_manifest(writing=None)
        job.update_manifest(finished=made, joining=None)
        self._tidy(job, works, whole=(first, stop) == (0, len(index)))

    def _tidy(self, job: Job, works: Sequence[Work], whole: bool) -> None:
        """Delete what the film is not made of. A run of a part leaves the segments of the whole alone."""
        discard = self.setup.request.options.discard_segments
        keep = set() if discard else {work.path for work in works}
        for path in job.segments.iterdir():
            if path not in keep and (whole or discard or path.suffix == ".part"):
                path.unlink()
        tidy(job.folder, [work.stills for work in works], whole)
        if self.sound is not None and (whole or discard):
            self.sound.tidy(discard)
        if discard:
            (job.folder / "journal.jsonl").unlink(missing_ok=True)

    def _join(
        self, job: Job, made: dict[str, Any], settings: EncoderSettings, journal: Journal, index: FrameIndex,
        works: Sequence[Work], first: int, stop: int,
    ) -> dict[str, Any]:  # fmt: skip
        """Join, verify and name the film; returns `made` with the facts by which it is known again."""
        setup = self.setup
        output = setup.request.output
        part = output.with_name(output.name + ".part")
        whole = (first, stop) == (0, len(index))
        base = index.time_base
        start, end = self._times(index, first, stop)
        meter = Meter("join", stop - first, self.on_progress)
        plan = MuxPlan(
            path=part,
            settings=settings,
            segments=[work.path for work in works],
            pts=[int(pts) for pts in index.pts[first:stop]],
            end_pts=int(end / base),
            reorder=max(journal.entries[work.key].reorder for work in works),
            info=setup.info,
            copied=setup.copied,
            audio=setup.audio,
            repaired=self.sound.feeds() if self.sound else (),
            shift=Fraction(0) if whole else start,
            span=None if whole else (start, end),
            lossless_audio=setup.request.options.master,
            metadata=label((*setup.request.stages, *setup.request.sound), setup.info.metadata),
        )

        def on_frame() -> None:
            meter.add()
            self.check()

        try:
            join(plan, on_frame)
            verify(plan)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            made = {**made, **job.file_facts(part)}
            if self.sound is not None:
                heard = [stream.index for stream in setup.copied if stream.kind == "audio"]
                made["sound"] = self.sound.tracks({index: number for number, index in enumerate(heard or [0], 1)})
            job.update_manifest(joining=made)  # if it stops right after the renaming, the output is known as its own
            os.replace(part, output)
        finally:
            part.unlink(missing_ok=True)
        meter.finish()
        return made
