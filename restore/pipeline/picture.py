"""Frames on the device: uploaded in batches, converted only as far as a stage asks, downloaded in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from restore.frames import ColorInfo, Domain, Frame, PixelFormat, Planes, VideoFormat
from restore.media import color


@dataclass(slots=True)
class Picture:
    """One frame between stages. Where there are `planes` they are the truth, and `rgb` a copy; else `rgb` is."""

    index: int
    pts: int
    format: VideoFormat
    """What `planes` are in, or would be."""
    planes: tuple[torch.Tensor, ...] | None
    """Without alpha, each (h, w): native samples as long as no stage has worked on them, then float32 nominal values
    (luma and RGB about [0, 1], chroma about 0), neither rounded nor clamped."""
    rgb: torch.Tensor | None = None
    """(3, H, W) float32, on the scale networks work on."""
    alpha: torch.Tensor | None = None
    """(H, W) float32."""
    corrupt: bool = False


_RGB_LUMA = ColorInfo("bt709", "bt709", "bt709", "full")
"""Luma and chroma of RGB sources, for stages that work on them: BT.709's."""


def _floats(pixel: PixelFormat) -> PixelFormat:
    """The same layout holding nominal values."""
    return replace(pixel, depth=32)


def _nominal(plane: torch.Tensor, format: VideoFormat, chroma: bool = False) -> torch.Tensor:
    """A plane's nominal values, from its samples if need be."""
    if plane.is_floating_point():
        return plane
    return color.normalise(plane, format.pixel, format.color.range, chroma)


def _nominal_planes(planes: Sequence[torch.Tensor], format: VideoFormat) -> tuple[torch.Tensor, ...]:
    yuv = format.pixel.model == "yuv"
    return tuple(_nominal(plane, format, yuv and place in (1, 2)) for place, plane in enumerate(planes))


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

    def tensors(self, pictures: Sequence[Picture], domain: Domain) -> tuple[torch.Tensor, ...]:
        """What `FrameBatch` holds of these pictures in a domain: pixels, and then its planes."""
        planes = self.planes(pictures, domain)
        if domain == "planes" and pictures and pictures[0].format.pixel.model != "rgb":
            return planes[0].unsqueeze(1), *planes
        return self.pixels(pictures, domain), *planes

    def pixels(self, pictures: Sequence[Picture], domain: Domain) -> torch.Tensor:
        """(N, C, H, W) float32 in a stage's domain; luma for ``planes``."""
        if domain in ("luma", "planes"):
            return torch.stack([self._luma(picture) for picture in pictures]).unsqueeze(1)
        if domain == "chroma":
            return torch.stack([self._chroma(picture) for picture in pictures])
        missing = [picture for picture in pictures if picture.rgb is None]
        if missing:
            for picture, values in zip(missing, self._to_rgb(missing), strict=True):
                picture.rgb = values
        if len(pictures) == 1:
            assert pictures[0].rgb is not None
            return pictures[0].rgb.unsqueeze(0)
        return torch.stack([picture.rgb for picture in pictures if picture.rgb is not None])

    def _to_rgb(self, pictures: Sequence[Picture]) -> torch.Tensor:
        fmt = pictures[0].format
        pixel = fmt.pixel
        planes = tuple(torch.stack(column) for column in zip(*(p.planes or () for p in pictures), strict=True))
        if any(plane.is_floating_point() for plane in planes):
            planes, pixel = _nominal_planes(planes, fmt), _floats(pixel)
        return color.encode_transfer(color.to_rgb(planes, pixel, fmt.color), self.transfer)

    def _planes(self, picture: Picture) -> tuple[torch.Tensor, ...]:
        if picture.planes is not None:
            return picture.planes
        assert picture.rgb is not None
        rgb = color.decode_transfer(picture.rgb.unsqueeze(0), self.transfer)
        planes = color.from_rgb(rgb, _floats(picture.format.pixel), picture.format.color)
        return tuple(plane[0] for plane in planes)

    def _luma(self, picture: Picture) -> torch.Tensor:
        if picture.format.pixel.model == "rgb":
            return color.luma_of(self.pixels([picture], "rgb"), "gbr")[0]
        return _nominal(self._planes(picture)[0], picture.format)

    def _chroma(self, picture: Picture) -> torch.Tensor:
        fmt = picture.format
        if fmt.pixel.model == "gray":
            return torch.zeros((2, fmt.height, fmt.width), device=self.device)
        if fmt.pixel.model == "rgb":
            planes = color.from_rgb(self.pixels([picture], "rgb"), PixelFormat("yuv", 32), _RGB_LUMA)
            return torch.cat(planes[1:])
        return torch.stack(_nominal_planes(self._planes(picture), fmt)[1:3])

    def planes(self, pictures: Sequence[Picture], domain: Domain) -> tuple[torch.Tensor, ...]:
        """What `FrameBatch.planes` holds in a domain: (N, h, w) float32 nominal values."""
        if domain == "chroma":
            return (torch.stack([self._luma(picture) for picture in pictures]),)
        if domain != "planes":
            return ()
        if pictures[0].format.pixel.model == "rgb":
            planes = self.pixels(pictures, "rgb").unbind(1)
        else:
            columns = zip(*(_nominal_planes(self._planes(p), p.format) for p in pictures), strict=True)
            planes = tuple(torch.stack(column) for column in columns)
        alphas = [picture.alpha for picture in pictures if picture.alpha is not None]
        return (*planes, torch.stack(alphas)) if alphas else planes

    def with_planes(self, picture: Picture, planes: tuple[torch.Tensor, ...], format: VideoFormat) -> Picture:
        """The picture after a stage returned `planes` ((h, w) each, as `planes` gave them), now in `format`."""
        alpha = picture.alpha
        if alpha is not None:
            planes, alpha = planes[:-1], planes[-1]
        if format.pixel.model == "rgb":
            return replace(picture, rgb=torch.stack(planes), planes=None, alpha=alpha, format=format)
        return replace(picture, planes=planes, rgb=None, alpha=alpha, format=format)

    def replaced(
        self, picture: Picture, result: torch.Tensor, mask: torch.Tensor | None, domain: Domain, format: VideoFormat
    ) -> Picture:
        """The picture after a stage returned `result` (C, H, W) in `domain`, now in `format`; `mask` (1, H, W) limits
        what changes."""
        if mask is not None:
            return self._masked(picture, result, mask[0], domain)
        if domain == "rgb":
            return replace(picture, rgb=result, planes=None, format=format, alpha=self._resized_alpha(picture, result))
        if picture.format.pixel.model == "rgb":
            return replace(picture, rgb=self._recoloured(picture, result, domain), planes=None, format=format)
        planes = self._planes(picture)
        if format.pixel != picture.format.pixel:
            planes = _nominal_planes(planes, picture.format)
        if domain == "luma":
            planes = (result[0], *planes[1:])
        elif format.pixel.model == "yuv":
            planes = (planes[0], result[0], result[1])
        return replace(picture, planes=planes, rgb=None, format=format)

    def _recoloured(self, picture: Picture, result: torch.Tensor, domain: Domain) -> torch.Tensor:
        """RGB with another luma or chroma."""
        rgb = self.pixels([picture], "rgb")
        if domain == "luma":
            return rgb[0] + (result[0] - color.luma_of(rgb, "gbr")[0])
        luma = color.luma_of(rgb, "gbr")
        return color.to_rgb((luma, result[0:1], result[1:2]), PixelFormat("yuv", 32), _RGB_LUMA)[0]

    def _masked(self, picture: Picture, result: torch.Tensor, mask: torch.Tensor, domain: Domain) -> Picture:
        if picture.planes is None and picture.rgb is not None and domain == "rgb":
            return replace(picture, rgb=torch.where(mask, result, picture.rgb))
        if not mask.any():
            return picture
        # Quantising what was normalised gives the same sample again, so what lies outside the mask is untouched.
        old = _nominal_planes(self._planes(picture), picture.format)
        wheres = [_covered(mask, plane) for plane in old]
        if domain != "rgb":
            whole = self.replaced(replace(picture), result, None, domain, picture.format)
            new = _nominal_planes(self._planes(whole), picture.format)
            merged = [torch.where(w, after, before) for w, before, after in zip(wheres, old, new, strict=True)]
            return replace(picture, planes=tuple(merged), rgb=None)
        merged = [plane.clone() for plane in old]
        for rows, inner in _bands(mask):
            rgb = color.decode_transfer(result[None, :, rows], self.transfer)
            new = color.from_rgb(rgb, _floats(picture.format.pixel), picture.format.color)
            for plane, where, after in zip(merged, wheres, new, strict=True):
                unit = -(-mask.shape[0] // plane.shape[0])  # rows of the picture to one of the plane
                own = slice(inner.start // unit, -(-inner.stop // unit))
                skip = own.start - rows.start // unit
                part = after[0, skip : skip + own.stop - own.start]
                plane[own] = torch.where(where[own], part, plane[own])
        return replace(picture, planes=tuple(merged), rgb=None)

    @staticmethod
    def _resized_alpha(picture: Picture, result: torch.Tensor) -> torch.Tensor | None:
        alpha = picture.alpha
        if alpha is None or alpha.shape == result.shape[1:]:
            return alpha
        size = (result.shape[1], result.shape[2])
        return F.interpolate(alpha[None, None], size, mode="bilinear", antialias=True)[0, 0]

    def download(self, pictures: Sequence[Picture], target: VideoFormat) -> list[Frame]:
        """Pictures to frames in the output's planes. Planes that fit already are rounded where a stage has worked on
        them, and copied where none has."""
        if all(_fits(picture, target) for picture in pictures):
            return [self._stored(picture, target) for picture in pictures]
        if len({tuple(p.rgb.shape) if p.rgb is not None else None for p in pictures}) > 1:
            return [frame for picture in pictures for frame in self._converted([picture], target)]
        return self._converted(pictures, target)

    def _stored(self, picture: Picture, target: VideoFormat) -> Frame:
        fmt, planes = picture.format, []
        for place, plane in enumerate(picture.planes or ()):
            chroma = fmt.pixel.model == "yuv" and place in (1, 2)
            if plane.is_floating_point() or fmt.pixel.depth != target.pixel.depth:
                plane = color.quantise(_nominal(plane, fmt, chroma), target.pixel, target.color.range, chroma)
            planes.append(plane)
        return Frame(picture.pts, self._with_alpha(_to_numpy(planes), picture, target), picture.corrupt)

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


_BAND = 16
"""Rows of a picture that are converted together, or not at all; a power of two, and chroma's filters reach less far."""


def _bands(mask: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Runs of rows in which a mask (H, W) covers something: the rows to convert, and those among them that count."""
    height = len(mask)
    rows = mask.any(1).cpu().numpy()
    blocks = np.add.reduceat(rows, np.arange(0, height, _BAND)) > 0
    edges = np.flatnonzero(np.diff(blocks, prepend=False, append=False)) * _BAND
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield slice(max(0, first - _BAND), min(height, last + _BAND)), slice(first, min(height, last))


def _covered(mask: torch.Tensor, plane: torch.Tensor) -> torch.Tensor:
    """A mask at the size of a plane: a subsampled sample counts if any of the pixels it covers does."""
    if plane.shape == mask.shape:
        return mask
    return F.adaptive_max_pool2d(mask[None, None].float(), tuple(plane.shape))[0, 0] > 0


def _fits(picture: Picture, target: VideoFormat) -> bool:
    """Whether the planes are the output's but for their depth."""
    if picture.planes is None:
        return False
    have, want = picture.format.pixel, target.pixel
    return (have.model, have.chroma_shift) == (want.model, want.chroma_shift) and replace(
        picture.format.color, assumed=target.color.assumed
    ) == target.color


def _to_numpy(planes: Sequence[torch.Tensor]) -> Planes:
    return tuple(plane.cpu().numpy() for plane in planes)
