"""A stage that kills the process it runs in: what a crash, or a lost GPU, looks like to an engine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch
from pydantic import Field

from restore.frames import FrameBatch, VideoFormat
from restore.pipeline.contract import Device, Stage, StageOptions, Values


class FatalOptions(StageOptions):
    """Neither option changes a pixel."""

    folder: str = Field("", description="Where deaths are counted.", json_schema_extra={"runtime": True})
    times: int = Field(0, description="How often to die.", json_schema_extra={"runtime": True})


class Fatal(Stage[FatalOptions]):
    """Copies frames; dies in the third hundred of them as long as it has not died often enough."""

    name = "fatal"

    def open(self, device: Device, format: VideoFormat) -> None:
        pass

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        deaths = len(list(Path(self.options.folder).iterdir()))
        if deaths < self.options.times and batch.pts[0] * batch.format.time_base * batch.format.frame_rate > 250:
            Path(self.options.folder, str(deaths)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return batch.pixels[batch.core]
