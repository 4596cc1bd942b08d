"""The rendering half of `upscale`: a pure function of one frame and what the plan says of its shot."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from restore.errors import OptionError
from restore.frames import FrameBatch, VideoFormat
from restore.pipeline.contract import Analyzer, Device, Stage, Values
from restore.stages.upscale.analysis import ESTIMATOR, DegradationAnalyzer
from restore.stages.upscale.network import NetworkRunner, overlaps_enough
from restore.stages.upscale.options import DEGRADATIONS, UpscaleOptions
from restore.zoo import LoadedNetwork, load_network, weights_file

_LARGEST = 65536


class Upscale(Stage[UpscaleOptions]):
    """Enlarges each frame by itself; window 0."""

    name = "upscale"
    domain = "rgb"
    needs_progressive = True
    editable: ClassVar[frozenset[str]] = frozenset({*DEGRADATIONS, "strength"})

    def __init__(self, options: UpscaleOptions) -> None:
        super().__init__(options)
        self._runner: NetworkRunner | None = None
        self._size = (0, 0)
        self._factor = options.scale or 2.0

    def __getstate__(self) -> dict[str, Any]:
        # A worker loads the weights itself.
        return {**self.__dict__, "_network": None, "_runner": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: value for name, value in state.items() if name != "_network"})

    @property
    def model(self) -> str:
        """Name or path of the network."""
        if self.options.model is not None:
            return self.options.model
        return "reel-x4" if self._factor > 2 else "reel-x2"

    @cached_property
    def _network(self) -> LoadedNetwork:
        return load_network(self.model, denoise_strength=self.options.denoise_strength)

    def _target(self, format: VideoFormat) -> tuple[int, int]:
        options = self.options
        if options.height is None and options.width is None:
            scale = options.scale or 2.0
            return max(1, round(format.width * scale)), max(1, round(format.height * scale))
        if options.height is None:
            assert options.width is not None
            return options.width, max(1, round(format.height * options.width / format.width))
        if options.width is None:
            return max(1, round(format.width * options.height / format.height)), options.height
        return options.width, options.height

    def check(self, format: VideoFormat) -> None:
        """The size must be one that files can hold, and the network one that exists."""
        width, height = self._target(format)
        if max(width, height) > _LARGEST:
            raise OptionError(
                f"upscale: {width}x{height} is larger than {_LARGEST} pixels a side; use a smaller --scale"
            )
        self._factor = max(width / format.width, height / format.height)
        network = self._network  # a model that is not there is found out now, not after the analysis
        told = [name for name in DEGRADATIONS if getattr(self.options, name) is not None]
        if told and not network.conditions:
            raise OptionError(f"upscale: {self.model} cannot be told --{told[0]}; only our own networks can")

    def output_format(self, format: VideoFormat) -> VideoFormat:
        """The enlarged size; pixels change their shape if width and height are forced."""
        width, height = self._target(format)
        result = format.resized(width, height)
        if self.options.height is None or self.options.width is None:
            return result
        aspect = format.sample_aspect * Fraction(format.width * height, format.height * width)
        return VideoFormat(
            width,
            height,
            result.pixel,
            result.color,
            result.time_base,
            result.frame_rate,
            aspect.limit_denominator(10000),
        )

    def effective(self) -> dict[str, Any]:
        """A tile counts where the network's reach is unknown: its borders show, if ever so little."""
        return {**self.options.effective(), "tile": None if overlaps_enough(self._network) else self.options.tile}

    def analyzer(self) -> Analyzer | None:
        """For networks that are told how degraded the picture is, unless the person says all of it."""
        if not self._network.conditions or all(getattr(self.options, name) is not None for name in DEGRADATIONS):
            return None
        return DegradationAnalyzer()

    def weights(self) -> dict[str, str]:
        """The network, and the estimator if it has a say."""
        used = {self._network.id: self._network.tensor_sha256}
        if self.analyzer() is not None:
            used[ESTIMATOR] = weights_file(ESTIMATOR)[1]
        return used

    def open(self, device: Device, format: VideoFormat) -> None:
        """Put the network on the device."""
        self._runner = NetworkRunner(self._network, device)
        self._size = self._target(format)

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        """Enlarge the core frames."""
        assert self._runner is not None
        pixels = batch.pixels[batch.core]
        strength = float(values.get("strength", self.options.strength))
        if strength == 0:
            return self._plain(pixels)
        degradation: tuple[float, ...] = ()
        if self._network.conditions:
            degradation = tuple(float(values.get(name, 0.0)) for name in DEGRADATIONS)
        result = self._plain(self._runner(pixels, degradation, self.options.tile))
        if strength < 1:
            result = torch.lerp(self._plain(pixels), result, strength)
        return result

    def _plain(self, pixels: torch.Tensor) -> torch.Tensor:
        width, height = self._size
        if pixels.shape[-2:] == (height, width):
            return pixels
        return F.interpolate(pixels, (height, width), mode="bicubic", antialias=True)

    def stand_in(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        """A bicubic resize."""
        return self._plain(batch.pixels[batch.core])

    def close(self) -> None:
        """Drop the network."""
        self._runner = None
        self.__dict__.pop("_network", None)
