"""Rendering one segment: read, compute, write, overlapped. What every engine runs, wherever it runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from restore.frames import Frame, Shot, VideoFormat
from restore.media.codecs import EncoderSettings
from restore.media.encode import SegmentEncoder
from restore.media.open import open_source
from restore.media.options import InputOptions
from restore.media.picture_output import PictureOutput
from restore.media.source import Source
from restore.pipeline.chain import Chain
from restore.pipeline.contract import Device, Stage, Timeline, Values
from restore.pipeline.index import FrameIndex
from restore.pipeline.job import disk_errors
from restore.pipeline.journal import Entry
from restore.pipeline.picture import Picture
from restore.pipeline.prefetch import Drain
from restore.pipeline.reader import FrameReader
from restore.pipeline.segments import Segment
from restore.pipeline.stills import FOLDER, StillKeeper
from restore.pipeline.timeline import TimelineSource, split_stages

if TYPE_CHECKING:
    from restore.pipeline.study import Study


@dataclass(frozen=True)
class RenderTask:
    """All a worker needs to render any segment of a job. Can be pickled: nothing in it is open."""

    source: str
    input: InputOptions
    stages: tuple[Stage[Any], ...]
    device: Device
    transfer: str
    """Scale of the samples: ``display``, ``linear`` or ``log``."""
    batch: int | None
    output: EncoderSettings | PictureOutput
    index: FrameIndex
    """Of the film that is rendered: the source's, or that of its timeline."""
    decoder_threads: int
    first: int
    """First frame of the film that the output holds; numbers a sequence's files."""
    timeline: tuple[Timeline, FrameIndex] | None = None
    """Where the recipe begins with a timeline stage: its plan, and the source's own list of frames."""

    def open_source(self) -> Source:
        """The film that is rendered, opened: the source, or a timeline over it."""
        source = open_source(self.source, self.input)
        source.threads = self.decoder_threads
        stage, _ = split_stages(self.stages)
        if stage is None or self.timeline is None:
            return source
        return TimelineSource(source, stage, *self.timeline)

    @property
    def picture_stages(self) -> tuple[Stage[Any], ...]:
        """The stages behind the timeline."""
        return split_stages(self.stages)[1]

    @property
    def target(self) -> VideoFormat:
        """The format frames leave in."""
        return self.output.format


@dataclass(frozen=True)
class Work:
    """One segment to render: its frames, where to put it, and the plan of its shots."""

    segment: Segment
    key: str
    path: Path
    shots: tuple[tuple[Shot, tuple[Values, ...]], ...]
    """Every shot that the segment touches, with what each stage is told about it."""

    @property
    def span(self) -> range:
        """Its frames."""
        return range(self.segment.start, self.segment.end)

    @property
    def stills(self) -> Path:
        """Where stills of it are kept."""
        name = f"{self.segment.start:07d}-{self.segment.end:07d}-{self.key[:12]}.npz"
        return self.path.parent.parent / FOLDER / name


class _Sink(Protocol):
    def write(self, frame: Frame) -> None: ...
    def finish(self) -> tuple[int, int]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: Any) -> None: ...


class SegmentRenderer:
    """An open source and opened stages, rendering one segment after another. A context manager."""

    def __init__(self, task: RenderTask) -> None:
        self.task = task
        self._source = task.open_source()
        self.chain = Chain(
            task.picture_stages, self._source.format, task.target, task.device, task.transfer, task.batch
        )  # fmt: skip
        remember = sum(sum(stage.window()) for stage in task.picture_stages)
        self._reader = FrameReader(self._source, task.index, remember)
        self._on_read: Callable[[int, Frame], None] | None = None
        stage, _ = split_stages(task.stages)
        self._shows_source = stage is None or task.timeline is None or stage.untouched(task.timeline[0].rows)

    def __enter__(self) -> SegmentRenderer:
        self.chain.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._source.close()
        self.chain.__exit__()

    def _sink(self, work: Work) -> _Sink:
        if isinstance(self.task.output, PictureOutput):
            return self.task.output.sink(work.segment.start - self.task.first)
        return SegmentEncoder(work.path, self.task.output)

    def pictures(self, shot: Shot, core: range, values: Sequence[Values]) -> Generator[Picture]:
        """Frames `core` of a shot before they are converted to the output's format. Close it, or exhaust it."""
        return self.chain.pictures(self._reader.read, shot, core, values)

    def frames(self, work: Work) -> Generator[Frame]:
        """The finished frames of a segment, written nowhere. Close it, or exhaust it."""
        segment = work.segment
        for shot, values in work.shots:
            core = range(max(segment.start, shot.start), min(segment.end, shot.end))
            with closing(self.chain.render(self._read, shot, core, values)) as frames:
                yield from frames

    def _seconds(self, frame: int) -> float:
        """When a frame is shown, from the film's first."""
        index = self.task.index
        return float((int(index.pts[frame]) - int(index.pts[0])) * index.time_base)

    def _keeper(self, work: Work) -> StillKeeper:
        """What keeps stills of the segment that is rendered next."""
        task = self.task
        before = self._source.format if self._shows_source else None
        shots = [shot for shot, _ in work.shots]
        keeper = StillKeeper(work.span, shots, len(task.index), before, task.target, self.chain.converter)
        self._on_read, self.chain.on_mask = keeper.source, keeper.repaired
        return keeper

    def _read(self, wanted: range) -> Iterator[Frame]:
        for number, frame in zip(wanted, self._reader.read(wanted), strict=True):
            if self._on_read is not None:
                self._on_read(number, frame)
            yield frame

    def render(
        self, work: Work, on_frame: Callable[[], None] | None = None, watch: Callable[[Frame], None] | None = None
    ) -> Entry:
        """Render and write one segment; returns its line for the journal. Raises whatever went wrong.

        `watch` is shown every frame before it is encoded.
        """
        started = time.perf_counter()
        segment = work.segment
        stills = self._keeper(work)
        with disk_errors(work.path.parent), self._sink(work) as sink:
            with Drain(sink.write, depth=4) as drain, closing(self.frames(work)) as frames:
                for number, frame in zip(work.span, frames, strict=True):
                    begun = time.perf_counter()
                    drain.put(frame)
                    self.chain.spent("write", begun)
                    stills.result(number, frame)
                    if watch is not None:
                        watch(frame)
                    if on_frame is not None:
                        on_frame()
                begun = time.perf_counter()
            size, reorder = sink.finish()
            self.chain.spent("write", begun)
            stills.save(work.stills, self._seconds)
        batch = self.chain.batches[0].size if self.chain.batches else 0
        return Entry(work.key, segment.start, segment.end, size, reorder, time.perf_counter() - started, batch)


class Engine(Protocol):
    """Who renders segments: in this process, in worker processes, on other machines."""

    def run(
        self,
        task: RenderTask,
        works: Sequence[Work],
        on_entry: Callable[[Entry], None],
        on_frame: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        """Render all of `works`; call `on_entry` as each is done, and `check` often: it raises to stop."""
        ...

    def analyse(
        self,
        task: RenderTask,
        studies: Sequence[Study],
        on_frames: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        """Bring the plan of all of these shots up to date; tell `on_frames` of a shot's frames once it is."""
        ...
