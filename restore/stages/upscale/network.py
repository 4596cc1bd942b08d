"""Running a super-resolution network fast and tile by tile, without changing what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import psutil
import torch
import torch.nn.functional as F
from torch import nn

from restore.errors import DeviceMemoryError
from restore.nets.reel import ReelUpscaler
from restore.pipeline.chain import is_out_of_memory
from restore.pipeline.contract import Device
from restore.zoo import LoadedNetwork

Apply = Callable[[torch.Tensor], torch.Tensor]

FIXED_TILE, FIXED_OVERLAP = 512, 64
"""For networks whose reach is unknown, or too far to overlap by: always the same tiles, so that pixels are, too."""
FARTHEST_REACH = 96
SMALLEST_TILE = 64
_FEW_SAMPLES = 20480
"""Up to here PyTorch computes one picture on the CPU by other convolutions than several, and these round otherwise."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def overlaps_enough(loaded: LoadedNetwork) -> bool:
    """Whether tiles can overlap by the network's reach, so that pixels are the same whatever the tile."""
    return loaded.receptive_field is not None and loaded.receptive_field <= FARTHEST_REACH


class NetworkRunner:
    """A loaded network on a device, its convolutions in the job's precision and channels-last.

    What carries the picture past the convolutions (the skip connection) and all after it stay float32: bfloat16 knows
    only 513 of the 1,024 levels of ten bits.
    """

    def __init__(self, loaded: LoadedNetwork, device: Device) -> None:
        self.loaded = loaded
        self.scale = loaded.scale
        self.device = device.torch_device
        self.dtype = _DTYPES[device.precision]
        self.exact = overlaps_enough(loaded)
        self.overlap = loaded.receptive_field or FIXED_OVERLAP if self.exact else FIXED_OVERLAP
        self._folded = lru_cache(maxsize=8)(self._fold)
        self._plain = None if loaded.conditions else self._prepare(loaded.module)
        self._tile: int | None = None

    def _prepare(self, module: nn.Module) -> Apply:
        module = module.to(self.device).to(memory_format=torch.channels_last)
        kind = type(module).__name__
        if self.dtype == torch.float32:
            return module
        if kind in ("SRVGGNetCompact", "Compact"):
            body = nn.Sequential(*module.get_submodule("body").children()).to(self.dtype)
            factor = self.scale

            def compact(pixels: torch.Tensor) -> torch.Tensor:
                features = body(pixels.to(self.dtype)).float()
                base = F.interpolate(pixels.contiguous(), scale_factor=factor, mode="nearest")
                return base.add_(F.pixel_shuffle(features, factor))

            return compact
        if kind in ("RRDBNet", "ESRGAN"):
            last = [part for part in module.modules() if isinstance(part, nn.Conv2d)][-1]
            module.to(self.dtype)
            last.to(torch.float32)
            last.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
            return lambda pixels: module(pixels.to(self.dtype)).float()
        return module  # nothing is known of where this one needs its precision

    def _fold(self, degradation: tuple[float, ...]) -> Apply:
        module = self.loaded.module
        assert isinstance(module, ReelUpscaler)
        folded = module.folded(torch.tensor(degradation)).to(self.device)
        return folded.set_precision(self.dtype)

    def __call__(
        self, pixels: torch.Tensor, degradation: tuple[float, ...] = (), tile: int | None = None
    ) -> torch.Tensor:
        """Enlarge (N, 3, H, W) float32, on whichever device it lies, to (N, 3, scale H, scale W) there.

        `tile` limits the tile's side; else free memory decides. Out of memory, the tile is halved and the same frames
        are tried again. Raises DeviceMemoryError below `SMALLEST_TILE`, and where another tile would mean other pixels.
        """
        apply = self._folded(degradation) if self.loaded.conditions else self._plain
        assert apply is not None
        size = tile or self._tile or self._free_tile(pixels)
        while True:
            try:
                return self._tiled(pixels, apply, size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                size = min(size, max(pixels.shape[-2:])) // 2
                if not self.exact:
                    raise DeviceMemoryError(
                        f"out of memory on {self.device}: {self.loaded.id} needs the same tiles for the whole film; "
                        f"start it with --tile {max(size, SMALLEST_TILE)}"
                    ) from None
                if size < SMALLEST_TILE:
                    raise DeviceMemoryError(
                        f"out of memory on {self.device} with tiles of {SMALLEST_TILE} pixels; close other programs"
                    ) from None
                self._tile = size
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    def _free_tile(self, pixels: torch.Tensor) -> int:
        """The largest tile whose activations should fit into half of the free memory."""
        if not self.exact:
            return FIXED_TILE
        if self.device.type == "cuda":
            free = torch.cuda.mem_get_info(self.device)[0]
        else:
            free = psutil.virtual_memory().available
        widest = max((p.shape[0] for p in self.loaded.module.parameters() if p.dim() == 4), default=64)
        # Input and output of the widest layer, and the enlarged picture several times over, in float32.
        bytes_a_pixel = 4 * (3 * widest + 12 * self.scale**2)
        fits = free // 2 // (bytes_a_pixel * len(pixels))
        return max(SMALLEST_TILE, int(fits**0.5))

    def _tiled(self, pixels: torch.Tensor, apply: Apply, size: int) -> torch.Tensor:
        count, channels, height, width = pixels.shape
        if height <= size and width <= size:
            return self._run(pixels, apply).to(pixels.device)
        step = self.loaded.multiple_of  # tiles begin where the network's own grid does
        result = pixels.new_empty((count, channels, height * self.scale, width * self.scale))
        for top, bottom in _spans(height, size):
            for left, right in _spans(width, size):
                y0, y1 = max(0, top - self.overlap) // step * step, min(height, bottom + self.overlap)
                x0, x1 = max(0, left - self.overlap) // step * step, min(width, right + self.overlap)
                enlarged = self._run(pixels[:, :, y0:y1, x0:x1], apply)
                s = self.scale
                kept = enlarged[:, :, (top - y0) * s : (bottom - y0) * s, (left - x0) * s : (right - x0) * s]
                result[:, :, top * s : bottom * s, left * s : right * s] = kept
        return result

    def _run(self, pixels: torch.Tensor, apply: Apply) -> torch.Tensor:
        """One tile, padded to what the network demands and cropped again."""
        loaded = self.loaded
        tile = pixels.to(self.device)
        count, channels, height, width = tile.shape
        wanted = [
            max(loaded.minimum_size, -(-side // loaded.multiple_of) * loaded.multiple_of) for side in (height, width)
        ]
        if loaded.square:
            wanted = [max(wanted)] * 2
        tile = F.pad(tile, (0, wanted[1] - width, 0, wanted[0] - height), mode="replicate")
        if loaded.input_channels == 1:
            tile = tile.reshape(count * channels, 1, *tile.shape[2:])
        if len(tile) == 1 and tile.numel() <= _FEW_SAMPLES:
            tile = torch.cat((tile, tile))
        enlarged = apply(tile.contiguous(memory_format=torch.channels_last))
        enlarged = enlarged.reshape(-1, channels, *enlarged.shape[2:])
        return enlarged[:count, :, : height * self.scale, : width * self.scale]


def _spans(length: int, size: int) -> Iterator[tuple[int, int]]:
    parts = -(-length // size)
    for part in range(parts):
        yield length * part // parts, length * (part + 1) // parts
