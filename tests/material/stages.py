"""Small stages that only tests know."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field

from restore.frames import FrameBatch, Shot, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Stage, StageOptions, Values, Window


class AmountOptions(StageOptions):
    """How much, and a number that changes no pixel."""

    amount: float = Field(1.0, ge=0, le=1, description="How much.")
    patience: int = Field(1, description="Changes nothing.", json_schema_extra={"runtime": True})


class _Simple(Stage[AmountOptions]):
    editable: ClassVar[frozenset[str]] = frozenset({"amount"})

    def open(self, device: Device, format: VideoFormat) -> None:
        pass

    def amount(self, values: Values) -> float:
        return float(values.get("amount", self.options.amount))


class Average(_Simple):
    """Each frame becomes the mean of itself, two before and one after, as far as they exist."""

    name = "average"

    def window(self) -> Window:
        return Window(2, 1)

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        amount = self.amount(values)
        weights = torch.tensor(batch.valid, dtype=torch.float32)
        for place, ok in enumerate(batch.valid):
            assert ok or not batch.pixels[place].any(), "an invalid neighbour is blank"
        results = []
        for place in range(batch.core.start, batch.core.stop):
            part = slice(place - 2, place + 2)
            mean = (batch.pixels[part] * weights[part, None, None, None]).sum(0) / weights[part].sum()
            results.append(torch.lerp(batch.pixels[place], mean, amount))
        return torch.stack(results)


class LumaAverage(Average):
    """The same on luma alone."""

    name = "luma-average"
    domain = "luma"


class Patch(_Simple):
    """Brightens a rectangle and says so with a mask."""

    name = "patch"

    def process(self, batch: FrameBatch, values: Values) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = batch.pixels[batch.core]
        mask = torch.zeros((len(pixels), 1, *pixels.shape[2:]), dtype=torch.bool)
        mask[..., 8:20, 8:24] = True
        return 0.5 + 0.3 * pixels, mask


class LumaPatch(Patch):
    """The same on luma."""

    name = "luma-patch"
    domain = "luma"


class Mute(_Simple):
    """Scales chroma."""

    name = "mute"
    domain = "chroma"

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        return batch.pixels[batch.core] * (1 - 0.5 * self.amount(values))


class Blur(_Simple):
    """A blur in space; leaves `amount` 0 alone."""

    name = "blur"

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        pixels = batch.pixels[batch.core]
        blurred = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return torch.lerp(pixels, blurred, self.amount(values))


class _Brightest(Analyzer):
    sees = "input"
    seen: ClassVar[list[tuple[int, int]]] = []
    """(shot's first frame, pts) of every frame looked at, by all analyzers: tests empty it."""

    def begin(self, shot: Shot, format: VideoFormat) -> None:
        self._shot = shot
        self._peak = 0.0

    def add(self, batch: FrameBatch) -> None:
        self._peak = max(self._peak, float(batch.pixels.max()))
        self.seen.append((self._shot.start, batch.pts[0]))

    def finish(self) -> dict[str, Any]:
        return {"peak": round(self._peak, 4)}


class Stretch(_Simple):
    """Divides each shot by its brightest sample: needs an analyzer."""

    name = "stretch"
    editable: ClassVar[frozenset[str]] = frozenset({"amount", "peak"})

    def analyzer(self) -> Analyzer:
        return _Brightest()

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        pixels = batch.pixels[batch.core]
        return torch.lerp(pixels, pixels / max(0.1, float(values["peak"])), self.amount(values))


looked_at = _Brightest.seen

STAGES = {cls.name: cls for cls in (Average, LumaAverage, Patch, LumaPatch, Mute, Blur, Stretch)}
"""Every test stage by name."""
