"""A preview: the worst moments of a film, beside their source, with the pixels of the full render.

A few shots, spread over the film, are analysed and a frame or two of each rendered; those that ail most are shown.
Analyses are kept for the full run, and so are segments that are rendered whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from restore.frames import Frame, Shot
from restore.media.open import open_source
from restore.pipeline.contract import Finding
from restore.pipeline.job import Job, disk_errors
from restore.pipeline.progress import Meter
from restore.pipeline.reader import FrameReader
from restore.pipeline.render import RenderTask, SegmentRenderer, Work
from restore.pipeline.runner import Film, Runner
from restore.pipeline.segments import Segment, cut_segments

_CANDIDATES = 16
"""Shots that are looked at, at most."""
_TRIED = 2
"""Frames rendered of each, to see how dirty it is."""
_WHOLE = 96
"""A segment of at most so many frames is rendered whole, and kept."""
_DIRTY = 0.002
"""Share of a frame under repair that one cannot overlook."""


@dataclass(frozen=True)
class Moment:
    """A stretch of one shot, to be shown."""

    shot: Shot
    start: int
    end: int
    """Frames [start, end) of the film."""
    time: Fraction
    """Of its first frame, in seconds from the film's first."""
    findings: tuple[Finding, ...]
    """What ails it, the worst first."""


Show = Callable[[Moment, Frame, Frame], None]
"""Told each pair: where it is from, the source's frame, and the finished one."""


@dataclass
class Previewer(Runner):
    """Looks for a film's worst moments and renders them, in the job folder of the full run."""

    moments: int = 4
    seconds: float = 2.0
    """Of each moment."""

    def preview(self, show: Show) -> list[Moment]:
        """Render the worst moments, in the order of the film, and show every pair of frames. Raises RestoreError."""
        with disk_errors(self.setup.folder), Job(self.setup.folder) as job:
            film = self._film(job)
            first, stop = self._span(film.task.index)
            shots = [shot for shot in film.shots if shot.start < stop and shot.end > first]
            values = self._analyse(job, film, _spread(shots, _CANDIDATES))
            candidates = [shot for shot in shots if shot.number in values]
            with SegmentRenderer(film.task) as renderer:
                dirt = self._tried(renderer, candidates, values)
            found = [self._moment(film.task, shot, values[shot.number], dirt[shot.number]) for shot in candidates]
            chosen = worst(found, self.moments)
            works = [self._part(job, film, moment) for moment in chosen]
            with SegmentRenderer(film.task) as renderer:
                self._show(job, renderer, list(zip(chosen, works, strict=True)), show)
            return chosen

    def _tried(
        self, renderer: SegmentRenderer, shots: Sequence[Shot], values: dict[int, tuple[dict[str, Any], ...]]
    ) -> dict[int, dict[str, float]]:
        """By shot and stage, the share of the picture under repair, from a few frames amid each shot."""
        dirt: dict[int, dict[str, float]] = {}
        meter = Meter("analyse", len(shots), self.on_progress)
        for shot in shots:
            self.check()
            renderer.chain.repaired.clear()
            middle = (shot.start + shot.end) // 2
            core = range(middle, min(shot.end, middle + _TRIED))
            with closing(renderer.pictures(shot, core, values[shot.number])) as pictures:
                for _ in pictures:
                    pass
            dirt[shot.number] = {name: sum(s) / len(s) for name, s in renderer.chain.repaired.items()}
            meter.add()
        meter.finish()
        return dirt

    def _moment(self, task: RenderTask, shot: Shot, values: Sequence[dict[str, Any]], dirt: dict[str, float]) -> Moment:
        findings = [f for stage, own in zip(task.picture_stages, values, strict=True) for f in stage.findings(own)]
        for share in dirt.values():
            if share > 0:
                findings.append(Finding("dirt", f"{100 * share:.2g} %", share / _DIRTY))
        findings.sort(key=lambda finding: -finding.severity)
        index = task.index
        length = max(1, round(self.seconds * index.frame_rate))
        start = max(shot.start, min((shot.start + shot.end - length) // 2, shot.end - length))
        time = (int(index.pts[start]) - int(index.pts[0])) * index.time_base
        return Moment(shot, start, min(shot.end, start + length), time, tuple(findings))

    def _part(self, job: Job, film: Film, moment: Moment) -> tuple[Work, bool]:
        """What to render for a moment, and whether that is a whole segment of the full run."""
        segments = cut_segments(film.shots)
        [segment] = [s for s in segments if s.start <= moment.start < s.end]
        whole = self.setup.film is not None and len(segment) <= _WHOLE and moment.end <= segment.end
        part = segment if whole else Segment(segment.number, moment.start, moment.end)
        touched = [shot for shot in film.shots if shot.start < part.end and shot.end > part.start]
        values = self._analyse(job, film, touched)
        return self._work(job, part, film.task, film.shots, values, self._facts(0)), whole

    def _show(
        self, job: Job, renderer: SegmentRenderer, parts: Sequence[tuple[Moment, tuple[Work, bool]]], show: Show
    ) -> None:
        journal = job.journal()
        meter = Meter("render", sum(moment.end - moment.start for moment, _ in parts), self.on_progress)
        for moment, (work, whole) in parts:
            with closing(self._pairs(renderer.task, moment, show, meter)) as pairs:
                next(pairs)
                if whole and not self._is_done(journal, work, 0):
                    journal.add(renderer.render(work, self.check, pairs.send))
                    continue
                with closing(renderer.frames(work)) as frames:
                    for frame in frames:
                        self.check()
                        pairs.send(frame)
        meter.finish()

    def _pairs(self, task: RenderTask, moment: Moment, show: Show, meter: Meter) -> Generator[None, Frame]:
        """Takes finished frames and shows those of the moment beside their source's."""
        index = task.index
        wanted = {int(index.pts[number]): number for number in range(moment.start, moment.end)}
        listed = task.timeline[1] if task.timeline else index
        source = open_source(task.source, task.input)
        source.threads = task.decoder_threads
        reader = FrameReader(source, listed)
        try:
            while True:
                done = yield
                number = wanted.get(done.pts)
                if number is None:
                    continue
                place = int(task.timeline[0].rows[number, 0]) if task.timeline else number
                [before] = reader.read(range(place, place + 1))
                show(moment, before, done)
                meter.add()
        finally:
            reader.close()
            source.close()


def _spread(shots: Sequence[Shot], most: int) -> list[Shot]:
    """So many of the shots, evenly over the film; of each stretch the longest, which most of the film is made of."""
    if len(shots) <= most:
        return list(shots)
    edges = [round(n * len(shots) / most) for n in range(most + 1)]
    return [max(shots[first:stop], key=len) for first, stop in zip(edges, edges[1:], strict=False)]


def worst(moments: Sequence[Moment], most: int) -> list[Moment]:
    """The worst of each ailment first, then whatever is bad in sum; in the order of the film."""

    def amount(moment: Moment, what: str) -> float:
        return max((f.severity for f in moment.findings if f.what == what), default=0.0)

    def total(moment: Moment) -> float:
        return sum(min(2.0, finding.severity) for finding in moment.findings)

    def ranked() -> Iterator[Moment]:
        ailments = {finding.what for moment in moments for finding in moment.findings}
        worst_of = [(what, max(amount(moment, what) for moment in moments)) for what in sorted(ailments)]
        for what, top in sorted(worst_of, key=lambda pair: -pair[1]):
            yield from (moment for moment in moments if amount(moment, what) == top)
        yield from sorted(moments, key=lambda moment: -total(moment))

    chosen: list[Moment] = []
    for moment in ranked():
        if moment not in chosen and len(chosen) < most:
            chosen.append(moment)
    return sorted(chosen, key=lambda moment: moment.start)
