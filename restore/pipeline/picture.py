"""Frames on the device: uploaded in batches, converted only as far as a stage asks, downloaded in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from restore.frames import Domain, Frame, Planes, VideoFormat
from restore.media import color


@dataclass(slots=True)
class Picture:
    """One frame between stages. Either `planes` (native samples) or `rgb` is the truth; the other may be missing."""

    index: int
    pts: int
    format: VideoFormat
    """What `planes` are in, or would be."""
    planes: tuple[torch.Tensor, ...] | None
    """Native samples without alpha, each (h, w)."""
    rgb: torch.Tensor | None = None
    """(3, H, W) float32, on the scale networks work on."""
    alpha: torch.Tensor | None = None
    """(H, W) float32."""
    corrupt: bool = False


class Converter:
    """Moves pictures between the bus's planes and what stages want.

    `transfer` is the scale of a scan (``display``, ``linear``, ``log``): undone on the way in, redone on the way out.
    """

    def __init__(self, device: torch.device, transfer: str = "display") -> None:
        self.device = device
        self.transfer = transfer

    def upload(self, frames: Sequence[tuple[int, Frame]], format: VideoFormat) -> list[Picture]:
        """Frames (with their index in the film) to pictures holding native planes on the device."""
        pinned = self.device.type == "cuda"
        stacked = []
        for plane in range(format.pixel.plane_count):
            tensor = torch.from_numpy(np.stack([frame.planes[plane] for _, frame in frames]))
            if pinned:
                tensor = tensor.pin_memory()
            stacked.append(tensor.to(self.device, non_blocking=pinned))
        alphas = None
        if format.pixel.alpha:
            alphas = color.normalise(stacked.pop(), format.pixel, "full")
        return [
            Picture(
                index, frame.pts, format, tuple(plane[n] for plane in stacked),
                alpha=None if alphas is None else alphas[n], corrupt=frame.corrupt,
            )
            for n, (index, frame) in enumerate(frames)
        ]  # fmt: skip

    def pixels(self, pictures: Sequence[Picture], domain: Domain) -> torch.Tensor:
        """(N, C, H, W) float32 in a stage's domain."""
        if domain == "luma":
            return torch.stack([self._luma(picture) for picture in pictures]).unsqueeze(1)
        if domain == "chroma":
            return torch.stack([self._chroma(picture) for picture in pictures])
        missing = [picture for picture in pictures if picture.rgb is None]
        if missing:
            planes = tuple(torch.stack(column) for column in zip(*(p.planes or () for p in missing), strict=True))
            fmt = missing[0].format
            rgb = color.encode_transfer(color.to_rgb(planes, fmt.pixel, fmt.color), self.transfer)
            for picture, values in zip(missing, rgb, strict=True):
                picture.rgb = values
        if len(pictures) == 1:
            assert pictures[0].rgb is not None
            return pictures[0].rgb.unsqueeze(0)
        return torch.stack([picture.rgb for picture in pictures if picture.rgb is not None])

    def _native(self, picture: Picture) -> tuple[torch.Tensor, ...]:
        if picture.planes is None:
            assert picture.rgb is not None
            rgb = color.decode_transfer(picture.rgb.unsqueeze(0), self.transfer)
            picture.planes = tuple(p[0] for p in color.from_rgb(rgb, picture.format.pixel, picture.format.color))
        return picture.planes

    def _luma(self, picture: Picture) -> torch.Tensor:
        if picture.format.pixel.model == "rgb":
            return color.luma_of(self.pixels([picture], "rgb"), "gbr")[0]
        return color.normalise(self._native(picture)[0], picture.format.pixel, picture.format.color.range)

    def _chroma(self, picture: Picture) -> torch.Tensor:
        fmt = picture.format
        if fmt.pixel.model != "yuv":
            height, width = fmt.height, fmt.width
            return torch.zeros((2, height, width), device=self.device)
        chroma = torch.stack(self._native(picture)[1:3])
        return color.normalise(chroma, fmt.pixel, fmt.color.range, chroma=True)

    def replaced(
        self, picture: Picture, result: torch.Tensor, mask: torch.Tensor | None, domain: Domain, format: VideoFormat
    ) -> Picture:
        """The picture after a stage returned `result` (C, H, W) in `domain`; `mask` (1, H, W) limits what changes."""
        if mask is not None:
            return self._masked(picture, result, mask[0], domain)
        if domain == "rgb":
            return replace(picture, rgb=result, planes=None, format=format, alpha=self._resized_alpha(picture, result))
        planes = list(self._native(picture))
        fmt = picture.format
        if domain == "luma":
            if fmt.pixel.model == "rgb":
                rgb = self.pixels([picture], "rgb")[0]
                shifted = rgb + (result[0] - color.luma_of(rgb.unsqueeze(0), "gbr")[0])
                return replace(picture, rgb=shifted, planes=None)
            planes[0] = color.quantise(result[0], fmt.pixel, fmt.color.range)
        elif fmt.pixel.model == "yuv":
            planes[1], planes[2] = color.quantise(result, fmt.pixel, fmt.color.range, chroma=True)
        return replace(picture, planes=tuple(planes), rgb=None)

    def _masked(self, picture: Picture, result: torch.Tensor, mask: torch.Tensor, domain: Domain) -> Picture:
        old = self._native(picture)
        whole = self.replaced(replace(picture), result, None, domain, picture.format)
        new = self._native(whole)
        merged = []
        for before, after in zip(old, new, strict=True):
            where = mask
            if before.shape != mask.shape:
                # A subsampled sample changes if any of the pixels it covers does.
                shrunk = F.adaptive_max_pool2d(mask[None, None].float(), (before.shape[0], before.shape[1]))
                where = shrunk[0, 0] > 0
            # where() lacks uint16 kernels on some devices; int32 holds every sample.
            if before.dtype == torch.uint16:
                chosen = torch.where(where, after.to(torch.int32), before.to(torch.int32)).to(torch.uint16)
            else:
                chosen = torch.where(where, after, before)
            merged.append(chosen)
        return replace(picture, planes=tuple(merged), rgb=None)

    @staticmethod
    def _resized_alpha(picture: Picture, result: torch.Tensor) -> torch.Tensor | None:
        alpha = picture.alpha
        if alpha is None or alpha.shape == result.shape[1:]:
            return alpha
        size = (result.shape[1], result.shape[2])
        return F.interpolate(alpha[None, None], size, mode="bilinear", antialias=True)[0, 0]

    def download(self, pictures: Sequence[Picture], target: VideoFormat) -> list[Frame]:
        """Pictures to frames in the output's planes; native planes that already fit are copied untouched."""
        untouched = [
            p.rgb is None and p.format.pixel == target.pixel and p.format.color == target.color for p in pictures
        ]
        if all(untouched):
            return [Frame(p.pts, self._with_alpha(_to_numpy(p.planes or ()), p, target), p.corrupt) for p in pictures]
        if len({tuple(p.rgb.shape) if p.rgb is not None else None for p in pictures}) > 1 or any(untouched):
            return [frame for picture in pictures for frame in self._converted([picture], target)]
        return self._converted(pictures, target)

    def _converted(self, pictures: Sequence[Picture], target: VideoFormat) -> list[Frame]:
        rgb = color.decode_transfer(self.pixels(pictures, "rgb"), self.transfer)
        rgb = color.convert_color(rgb, pictures[0].format.color, target.color)
        planes = color.from_rgb(rgb, target.pixel, target.color)
        arrays = _to_numpy(planes)
        return [
            Frame(p.pts, self._with_alpha(tuple(array[n] for array in arrays), p, target), p.corrupt)
            for n, p in enumerate(pictures)
        ]

    @staticmethod
    def _with_alpha(planes: Planes, picture: Picture, target: VideoFormat) -> Planes:
        if not target.pixel.alpha:
            return planes
        if picture.alpha is None:
            opaque = 1.0 if target.pixel.is_float else 2**target.pixel.depth - 1
            return (*planes, np.full((target.height, target.width), opaque, target.pixel.dtype))
        return (*planes, *_to_numpy((color.quantise(picture.alpha, target.pixel, "full"),)))


def _to_numpy(planes: Sequence[torch.Tensor]) -> Planes:
    return tuple(plane.cpu().numpy() for plane in planes)
