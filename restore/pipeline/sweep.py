"""The same moments of a film, rendered with several settings of its stages, to choose between.

The film is analysed once: settings that change what is found are refused. Nothing is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch

from restore.errors import OptionError
from restore.frames import Shot
from restore.pipeline.contract import Stage, Values
from restore.pipeline.index import FrameIndex
from restore.pipeline.job import Job, disk_errors
from restore.pipeline.progress import Meter
from restore.pipeline.render import RenderTask, SegmentRenderer
from restore.pipeline.runner import Runner
from restore.pipeline.study import Analyst

Variant = tuple[Stage[Any], ...]
Found = Mapping[int, Sequence[Values]]
"""What each stage is told of each shot, by the shot's number."""
Choose = Callable[[FrameIndex, Sequence[Shot], Found], Sequence[range]]
"""Which frames to show: stretches of the film, each within one shot, in order."""
Show = Callable[[int | None, int, torch.Tensor], None]
"""Told every finished picture: the variant's place (None for the source), the frame, (3, H, W) RGB display values."""


@dataclass
class Sweeper(Runner):
    """Renders chosen moments once a variant, in a job folder."""

    def sweep(self, variants: Sequence[Variant], choose: Choose, show: Show) -> FrameIndex:
        """Analyse the film, choose moments, show them as they are and with every variant. Raises RestoreError."""
        for variant in variants:
            if [stage.analysed() for stage in variant] != [stage.analysed() for stage in self.setup.request.stages]:
                raise OptionError("versions may not differ in what is looked for in the film: detector, actor, place")
        with disk_errors(self.setup.folder), Job(self.setup.folder) as job:
            film = self._film(job)
            values = self._analyse(job, film, film.shots)
            moments = choose(film.task.index, film.shots, values)
            meter = Meter("render", sum(map(len, moments)) * (1 + len(variants)), self.on_progress)
            self._show(replace(film.task, stages=()), film.shots, dict.fromkeys(values, ()), moments,
                       lambda frame, rgb: show(None, frame, rgb), meter)  # fmt: skip
            for place, stages in enumerate(variants):
                task = replace(film.task, stages=stages)
                with Analyst(task, job.folder, film.edits) as analyst:
                    told = {shot.number: analyst.values(shot) for shot in film.shots}

                def shown(frame: int, rgb: torch.Tensor, place: int = place) -> None:
                    show(place, frame, rgb)

                self._show(task, film.shots, told, moments, shown, meter)
            meter.finish()
            return film.task.index

    def _show(
        self, task: RenderTask, shots: Sequence[Shot], values: Found, moments: Sequence[range],
        show: Callable[[int, torch.Tensor], None], meter: Meter,
    ) -> None:  # fmt: skip
        with SegmentRenderer(task) as renderer, torch.inference_mode():
            for core in moments:
                shot = next(shot for shot in shots if shot.start <= core.start < shot.end)
                with closing(renderer.pictures(shot, core, values[shot.number])) as pictures:
                    for frame, picture in zip(core, pictures, strict=True):
                        self.check()
                        show(frame, renderer.chain.converter.pixels([picture], "rgb")[0])
                        meter.add()
