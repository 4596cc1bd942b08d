"""Measuring a shot's noise before it is taken away."""

from __future__ import annotations

from typing import Any

from restore.analysis.noise import NoiseMeter, frames_to_measure
from restore.analysis.opponent import opponents
from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer


class NoiseAnalyzer(Analyzer):
    """The noise of what reaches the stage."""

    sees = "input"

    def wanted(self, shot: Shot) -> range:
        """A few frames from the middle."""
        return frames_to_measure(shot)

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """Forget the shot before."""
        self._meter = NoiseMeter()

    def add(self, batch: FrameBatch) -> None:
        """See one frame."""
        self._meter.add([plane[0].cpu().numpy() for plane in opponents(batch.planes, batch.format.pixel)])

    def finish(self) -> dict[str, Any]:
        """``noise``: for luma and the two colour differences what `Noise.as_json` writes."""
        return {"noise": {name: noise.as_json() for name, noise in self._meter.found().items()}}
