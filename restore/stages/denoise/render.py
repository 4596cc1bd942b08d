"""The rendering half of `denoise`: a pure function of a few frames and the noise the plan names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
import torch

from restore.analysis.flow import Plane
from restore.analysis.noise import Noise, fitted
from restore.analysis.opponent import opponents, with_changes
from restore.errors import OptionError
from restore.frames import FrameBatch, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Finding, Stage, Values, Window
from restore.stages.denoise.analysis import NoiseAnalyzer
from restore.stages.denoise.motion import Motion
from restore.stages.denoise.options import DenoiseOptions
from restore.stages.denoise.spatial import Cleaner
from restore.stages.denoise.temporal import average, cell_share


class Denoise(Stage[DenoiseOptions]):
    """Luma and colour differences, each at its own size, averaged along luma's motion, then cleaned frame by frame."""

    name = "denoise"
    version = 2
    domain = "planes"
    needs_progressive = True
    editable: ClassVar[frozenset[str]] = frozenset({"strength", "spatial", "color", "level", "noise"})

    def __init__(self, options: DenoiseOptions) -> None:
        super().__init__(options)
        self._motion = Motion()

    def __getstate__(self) -> dict[str, Any]:
        # What it remembers only saves time, and need not be sent to a worker.
        return {**self.__dict__, "_motion": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._motion = Motion()

    def window(self) -> Window:
        """As many frames as are averaged."""
        return Window(self.options.radius, self.options.radius)

    def analyzer(self) -> Analyzer:
        """What measures the noise."""
        return NoiseAnalyzer()

    def idle(self, values: Values) -> bool:
        """Where there is no noise."""
        told = {**self.options.model_dump(), **values}
        return not told["strength"] or not any(noise.is_there for noise in Noise.parse_all(told.get("noise", {})))

    def findings(self, values: Values) -> tuple[Finding, ...]:
        """Noise of luma, at its usual brightness."""
        noises = Noise.parse_all(values.get("noise", {}))
        if not noises or not noises[0].is_there:
            return ()
        sigma = float(np.median(noises[0].sigma))
        return (Finding("noise", f"{100 * sigma:.1f} %", sigma / 0.04),)

    def checked_edit(self, changes: Values) -> dict[str, Any]:
        """As for every stage; noise is checked for its form."""
        if "noise" in changes:
            try:
                Noise.parse_all(changes["noise"])
            except ValueError as error:
                raise OptionError(f"denoise: noise: {error}; write it as the plan does") from None
        rest = {name: value for name, value in changes.items() if name != "noise"}
        return {**changes, **super().checked_edit(rest)}

    def open(self, device: Device, format: VideoFormat) -> None:
        """Start with nothing remembered."""
        self._motion = Motion()

    def process(self, batch: FrameBatch, values: Values) -> tuple[torch.Tensor, ...]:
        """Denoise the core frames; planes that have no noise are handed back as they are."""
        told = {**self.options.model_dump(), **values}
        core = tuple(plane[batch.core] for plane in batch.planes)
        noises = Noise.parse_all(told.get("noise", {}))
        amounts = [float(told["strength"]) * (float(told["color"]) if place else 1) for place in range(len(noises))]
        if not any(a > 0 and n.is_there for a, n in zip(amounts, noises, strict=True)):
            return core
        split = [plane.cpu().numpy() for plane in opponents(batch.planes, batch.format.pixel)]
        present = [n for n, valid in enumerate(batch.valid) if valid]
        self._motion.see([batch.pts[n] for n in present], [split[0][n] for n in present])
        frames = []
        for n in range(*batch.core.indices(len(batch.pts))):
            near = [other for other in present if other != n and abs(other - n) <= self.options.radius]
            done = self._denoised(batch, split, n, near, noises, told)
            frames.append([
                None if new is None else amount * (new - torch.from_numpy(old[n]))
                for new, old, amount in zip(done, split, amounts, strict=True)
            ])  # fmt: skip
        changes = [
            None if column[0] is None else torch.stack(column).to(core[0]) for column in zip(*frames, strict=True)
        ]
        return with_changes(core, changes, batch.format.pixel)

    def _denoised(
        self, batch: FrameBatch, split: Sequence[Plane], n: int, near: list[int], noises: list[Noise],
        told: dict[str, Any],
    ) -> list[torch.Tensor | None]:  # fmt: skip
        """The planes of frame `n` of the batch; None where one has no noise."""
        fields = [self._motion.field(batch.pts[n], batch.pts[other]) for other in near]
        luma = cv2.GaussianBlur(split[0][n], (0, 0), 2.0)
        done: list[torch.Tensor | None] = []
        believed: list[Plane] | None = None
        for plane, noise in zip(split, noises, strict=True):
            if not noise.is_there:
                done.append(None)
                continue
            sigma = float(told["level"]) * noise.at(fitted(luma, plane[n]))
            averaged = average(
                plane[n],
                [self._motion.fetched(plane[k], field) for k, field in zip(near, fields, strict=True)],
                sigma,
                cell_share(noise),
                believed,
            )
            believed = believed or averaged.weights
            result = torch.from_numpy(averaged.plane)
            if told["spatial"]:
                left = torch.from_numpy(sigma * np.sqrt(averaged.left))
                cleaner = Cleaner(torch.from_numpy(noise.spectrum))
                result = torch.lerp(result, cleaner.clean(result, left), float(told["spatial"]))
            done.append(result)
        return done

    def stand_in(self, batch: FrameBatch, values: Values) -> tuple[torch.Tensor, ...]:
        """The picture as it is."""
        return tuple(plane[batch.core] for plane in batch.planes)

    def close(self) -> None:
        """Forget the frames."""
        self._motion = Motion()
