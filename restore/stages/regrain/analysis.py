"""Measuring the grain of the source, before any stage has touched it."""

from __future__ import annotations

from typing import Any

from restore.analysis.noise import NoiseMeter, frames_to_measure
from restore.analysis.opponent import opponents
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer


class GrainAnalyzer(Analyzer):
    """The grain of the source, and on how many rows it was seen."""

    sees = "source"

    def wanted(self, shot: Shot) -> range:
        """A few frames from the middle."""
        return frames_to_measure(shot)

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._meter = NoiseMeter()
        self._rows: list[int] = []

    def add(self, batch: FrameBatch) -> None:
        """See one frame."""
        planes = [plane[0].cpu().numpy() for plane in opponents(batch.planes, batch.format.pixel)]
        self._rows = [len(plane) for plane in planes]
        self._meter.add(planes)

    def finish(self) -> dict[str, Any]:
        """``noise`` as `Noise.as_json` writes it, and ``rows``, the height of each plane of the source."""
        return {
            "noise": {name: noise.as_json() for name, noise in self._meter.found().items()}, "rows": self._rows
        }  # fmt: skip
