"""Analysing one shot: what every engine runs, wherever it runs it. What is found goes straight into the job's plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from restore.frames import Shot
from restore.pipeline.analyse import Analysis
from restore.pipeline.chain import Chain
from restore.pipeline.plan import Edits, Plan
from restore.pipeline.reader import KEPT_BYTES, FrameReader
from restore.pipeline.render import RenderTask


@dataclass(frozen=True)
class Study:
    """One shot to analyse."""

    shot: Shot
    folder: Path
    """The job's."""
    edits: Edits
    film_wide: bool = False
    """Whether it is watched for the stages that settle over the whole film, and for no others."""

    @property
    def key(self) -> str:
        """By what it is told from others."""
        return f"shot {self.shot.start}"

    @property
    def span(self) -> range:
        """Its frames."""
        return range(self.shot.start, self.shot.end)


class Analyst:
    """An open source, and the analyzers of a job's stages. A context manager."""

    def __init__(self, task: RenderTask, folder: Path, edits: Edits) -> None:
        self._source = task.open_source()
        stages = task.picture_stages
        self._chain = Chain(stages, self._source.format, task.target, task.device, task.transfer, 1)
        window = sum(sum(stage.window()) for stage in stages)
        self._reader = FrameReader(self._source, task.index, window, KEPT_BYTES)  # every analyzer reads the shot
        self._analysis = Analysis(Plan(folder), edits, task.index, self._chain, self._reader.read)
        self._opened = ExitStack()
        self._ready = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()
        self._reader.close()
        self._source.close()

    def pending(self, shots: Sequence[Shot]) -> list[Shot]:
        """Those of the shots that have something left to find out."""
        return self._analysis.pending(shots)

    def values(self, shot: Shot) -> tuple[dict[str, Any], ...]:
        """What every stage is told about a shot, edits applied."""
        return tuple(self._analysis.values(shot))

    def unsettled(self, shots: Sequence[Shot]) -> list[Shot]:
        """Those of the film's shots that stages which settle over all of it have yet to watch."""
        return self._analysis.unsettled(shots)

    def settle(self, shots: Sequence[Shot]) -> None:
        """Write into the plan of every shot what the whole film comes to."""
        self._analysis.settle(shots)

    def study(self, study: Study, check: Callable[[], None]) -> None:
        """Bring the plan of a shot up to date; `check` is called before every frame, and raises to stop."""
        if not self._ready:
            self._opened.enter_context(self._chain)
            self._ready = True
        if study.film_wide:
            self._analysis.watch(study.shot, check)
        else:
            self._analysis.run(study.shot, check)
