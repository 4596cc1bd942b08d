"""The engine `fran`: a U-Net adds what age adds; ours, or a checkpoint in the published form.

See `restore.nets.fran`. Ours sees a whole face at once, aligned. The published network learned from windows of 512
pixels out of faces enlarged to 1024, and is used so: windows that overlap by half, averaged with soft edges.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from restore.nets.fran import PUBLISHED
from restore.pipeline.contract import Device
from restore.stages.reage.alignment import FRAMING, Framing
from restore.stages.reage.engines import Faces
from restore.zoo import load_reaging_network
from restore.zoo.reaging import ReagingNetwork

DEFAULT = "reage-fran"
SIDE = 128
"""Pixels of a crop for our network."""
PUBLISHED_SIDE = 1024
PUBLISHED_FRAMING = Framing(eyes=0.46, distance=1 / 4.6)
"""What is left of a picture round a face that dlib's detector found, in the open reproduction."""
WINDOW = 512
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class FranEngine:
    """See `restore.stages.reage.engines.Engine`. The parts of a face have no strengths of their own here.

    Args:
        ref: name or path of the network's weights.
    """

    name = "fran"

    def __init__(self, ref: str = DEFAULT) -> None:
        self._ref = ref
        self._network: ReagingNetwork | None = None
        self._device = Device(torch.device("cpu"), "fp32")

    @property
    def network(self) -> ReagingNetwork:
        """The weights, loaded when first asked for. Raises as `restore.zoo.load_reaging_network`."""
        if self._network is None:
            self._network = load_reaging_network(self._ref)
        return self._network

    @property
    def _published(self) -> bool:
        return self.network.module.widths == PUBLISHED

    @property
    def framing(self) -> Framing:
        """How much of the head the network knows."""
        return PUBLISHED_FRAMING if self._published else FRAMING

    def side(self, eye_distance: float) -> int:
        """Always the same: a network knows faces of one size."""
        return PUBLISHED_SIDE if self._published else SIDE

    def weights(self) -> dict[str, str]:
        """The network's."""
        return {self.network.id: self.network.tensor_sha256}

    def open(self, device: Device) -> None:
        """Put the network on the device."""
        self._device = device
        self.network.module.to(device.torch_device).to(memory_format=torch.channels_last)

    def deltas(self, faces: Faces) -> Tensor:
        """All faces at once."""
        if self._published:
            return windowed(self._run, faces.crops, faces.source, faces.target)
        return self._run(faces.crops, faces.source, faces.target)

    def _run(self, crops: Tensor, source: Tensor, target: Tensor) -> Tensor:
        device, dtype = self._device.torch_device, _DTYPES[self._device.precision]
        # On a processor several at once are no faster, and differ in the last digits from one alone.
        count = 1 if device.type == "cpu" else len(crops)
        with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            several = zip(*(torch.split(values, count) for values in (crops, source, target)), strict=True)
            parts = [
                self.network.module(crop.to(device).clamp(0, 1), before.to(device), after.to(device))
                for crop, before, after in several
            ]
        return torch.cat(parts).float().to(crops.device)


def windowed(run: Callable[[Tensor, Tensor, Tensor], Tensor], crops: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """A network over (N, 3, S, S) crops in windows that overlap by half, averaged with soft edges."""
    at = (torch.arange(WINDOW, device=crops.device) + 0.5) * (torch.pi / WINDOW)
    soft = torch.sin(at)[:, None] * torch.sin(at)[None, :]
    total, weights = torch.zeros_like(crops), torch.zeros_like(crops[:1, :1])
    for top in range(0, crops.shape[2] - WINDOW + 1, WINDOW // 2):
        for left in range(0, crops.shape[3] - WINDOW + 1, WINDOW // 2):
            part = (..., slice(top, top + WINDOW), slice(left, left + WINDOW))
            total[part] += soft * run(crops[part], source, target)
            weights[part] += soft
    return total / weights
