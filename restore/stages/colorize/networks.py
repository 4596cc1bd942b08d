"""The networks that propose colours, each at its own input size, in batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from restore.colorimetry import lab_to_rgb
from restore.nets import zhang
from restore.nets.colorize import MULTIPLE
from restore.pipeline.contract import Device
from restore.stages.colorize.affinity import evened
from restore.stages.colorize.proposer import ColorHints, Proposal, Proposer
from restore.zoo import load_color_network
from restore.zoo.coloring import ColorNetwork

DEFAULT = "reel-colorize"
DDCOLOR_SIZE = 512
_REEL_SHORT, _REEL_LONG = 256, 512
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NEARER = 5 / 4
"""It is also shown the picture enlarged so much: what is small in it is seen better, what is large worse."""
# Chosen on photographs held back from training: three fifths of their saturation, so that other pictures get half.
_TEMPERATURE = 0.4
_GAIN = 1.25
_UNSURE = 30.0
"""Spread of possible colours, in the compressed plane, at which none is said."""


class _Network:
    """What all of them share: a module on a device, convolutions in the job's precision."""

    takes_hints = False

    def __init__(self, loaded: ColorNetwork, device: Device) -> None:
        self.loaded = loaded
        self._device = device.torch_device
        self._dtype = _DTYPES[device.precision]
        self._module = loaded.module.to(self._device).to(memory_format=torch.channels_last)

    def _run(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The module's output, float32, where its inputs lie."""
        back = inputs[0].device
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype != torch.float32),
        ):
            output: torch.Tensor = self._module(*(x.to(self._device) for x in inputs))
        return output.float().to(back)


class _Reel(_Network):
    """Ours: the picture and its mirror image, at two sizes, averaged; the mean of the colours it thinks possible,
    quieter the less sure it is, and evened out where luma is even."""

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Short side 256, the long one at most 512: somewhat more than in training, which does it good."""
        scale = min(_REEL_SHORT / min(height, width), _REEL_LONG / max(height, width))
        return tuple(max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in (height, width))  # type: ignore[return-value]

    def propose(self, lightness: torch.Tensor, hints: ColorHints | None = None) -> Proposal:
        """See `Proposer.propose`."""
        plain = self._both_ways(lightness)
        size = [round(side * _NEARER / MULTIPLE) * MULTIPLE for side in lightness.shape[2:]]
        nearer = self._both_ways(F.interpolate(lightness, size, mode="bilinear", align_corners=False))
        logits = (plain + F.interpolate(nearer, plain.shape[2:], mode="bilinear", align_corners=False)) / 2
        ab, spread = self._module.decode(logits, _TEMPERATURE)  # type: ignore[operator]
        confidence = (1 - spread / _UNSURE).clamp(0.1, 1)
        return Proposal(self._evened(_GAIN * confidence * ab, confidence, lightness), confidence)

    def _both_ways(self, lightness: torch.Tensor) -> torch.Tensor:
        return (self._run(lightness) + self._run(lightness.flip(3)).flip(3)) / 2

    @staticmethod
    def _evened(ab: torch.Tensor, confidence: torch.Tensor, lightness: torch.Tensor) -> torch.Tensor:
        small = F.interpolate(lightness, ab.shape[2:], mode="area").cpu().numpy()
        planes = zip(ab.permute(0, 2, 3, 1).cpu().numpy(), confidence.cpu().numpy(), small, strict=True)
        done = [torch.from_numpy(evened(each, sure[0], light[0])) for each, sure, light in planes]
        return torch.stack(done).permute(0, 3, 1, 2).contiguous().to(ab.device)


class _Zhang(_Network):
    """Squares of 256 pixels, as published."""

    def __init__(self, loaded: ColorNetwork, device: Device) -> None:
        super().__init__(loaded, device)
        self.takes_hints = loaded.layout == "siggraph17"

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Always the same square: it was trained on pictures that were squeezed into it."""
        return zhang.SIZE, zhang.SIZE

    def propose(self, lightness: torch.Tensor, hints: ColorHints | None = None) -> Proposal:
        """See `Proposer.propose`; siggraph17 also takes hints."""
        if hints is None or not self.takes_hints:
            return Proposal(self._run(lightness))
        return Proposal(self._run(lightness, hints.ab * hints.known, hints.known))


class _DDColor(_Network):
    """Grey pictures of 512 pixels, as published. Not in float16, which overflows in it."""

    def __init__(self, loaded: ColorNetwork, device: Device) -> None:
        super().__init__(loaded, device)
        if self._dtype == torch.float16:
            self._dtype = torch.float32

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Always the same square."""
        return DDCOLOR_SIZE, DDCOLOR_SIZE

    def propose(self, lightness: torch.Tensor, hints: ColorHints | None = None) -> Proposal:
        """See `Proposer.propose`."""
        grey = lab_to_rgb(torch.cat((lightness, torch.zeros_like(lightness).expand(-1, 2, -1, -1)), 1))
        return Proposal(self._run(grey.clamp(0, 1)))


_BY_LAYOUT: dict[str, Callable[[ColorNetwork, Device], Proposer]] = {
    "reel": _Reel,
    "eccv16": _Zhang,
    "siggraph17": _Zhang,
    "ddcolor": _DDColor,
}


def load_proposer(model: str | Path, device: Device) -> Proposer:
    """Put a colorization network on a device, by name or path.

    Raises:
        UnknownModelError, OptionError, WeightsError, DownloadError, LicenceError: see `zoo.load_color_network`.
    """
    return open_proposer(load_color_network(model), device)


def open_proposer(loaded: ColorNetwork, device: Device) -> Proposer:
    """Put a loaded network on a device."""
    return _BY_LAYOUT[loaded.layout](loaded, device)
