"""Planes <-> RGB on the device, with the source's own matrix, range and chroma siting.

Equations of ITU-T H.273 (8.3 matrix coefficients, 8.2 range) for 8 to 16 bits and float. Values are nominally
[0, 1] and are clamped only when they are quantised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from restore.colorimetry import PRIMARIES, luma_weights, to_xyz
from restore.errors import SourceError
from restore.frames import ColorInfo, PixelFormat


@dataclass(frozen=True, slots=True)
class _Levels:
    """How stored numbers become nominal values: value = (number - offset) / scale."""

    offset: float
    scale: float


def _levels(pixel: PixelFormat, value_range: str, chroma: bool) -> _Levels:
    if pixel.is_float:
        return _Levels(0.0, 1.0)
    peak = 2**pixel.depth - 1
    unit = 2 ** (pixel.depth - 8)
    if chroma:
        return _Levels(128.0 * unit, float(peak) if value_range == "full" else 224.0 * unit)
    if pixel.model == "rgb" or value_range == "full":
        return _Levels(0.0, float(peak))
    return _Levels(16.0 * unit, 219.0 * unit)


def normalise(plane: torch.Tensor, pixel: PixelFormat, value_range: str, chroma: bool = False) -> torch.Tensor:
    """Stored samples to float32: luma, RGB and alpha nominally [0, 1], chroma [-0.5, 0.5]."""
    levels = _levels(pixel, value_range, chroma)
    values = plane.to(torch.float32)
    return values if pixel.is_float else values.sub_(levels.offset).mul_(1.0 / levels.scale)


def quantise(values: torch.Tensor, pixel: PixelFormat, value_range: str, chroma: bool = False) -> torch.Tensor:
    """Float values to stored samples, rounded to nearest and clamped to what the depth can hold."""
    if pixel.is_float:
        return values.to(torch.float32)
    levels = _levels(pixel, value_range, chroma)
    scaled = values.mul(levels.scale).add_(levels.offset).round_().clamp_(0, 2**pixel.depth - 1)
    return scaled.to(torch.uint8 if pixel.depth == 8 else torch.uint16)


# Chroma positions, in luma pixels from the middle of the group they stand for, by axis: (horizontal, vertical).
_COSITED = {"left": (True, False), "center": (False, False), "topleft": (True, True), "top": (False, True)}

# Catmull-Rom taps at quarter-sample offsets (between two pixels) and at half a sample (co-sited phase).
_QUARTER = (-0.0703125, 0.8671875, 0.2265625, -0.0234375)
_HALF = (-0.0625, 0.5625, 0.5625, -0.0625)


def _double(planes: torch.Tensor, dim: int, cosited: bool) -> torch.Tensor:
    """Twice the samples along one axis (Catmull-Rom), edges repeated. `planes` is (N, C, h, w)."""
    pad = [0, 0, 0, 0]
    pad[0 if dim == 3 else 2], pad[1 if dim == 3 else 3] = 2, 2
    padded = F.pad(planes, pad, mode="replicate")
    length = planes.shape[dim]

    def taps(weights: tuple[float, ...], first: int) -> torch.Tensor:
        total = padded.narrow(dim, first, length) * weights[0]
        for step, weight in enumerate(weights[1:], 1):
            total.add_(padded.narrow(dim, first + step, length), alpha=weight)
        return total

    if cosited:
        even, odd = planes, taps(_HALF, 1)
    else:
        even, odd = taps(_QUARTER[::-1], 0), taps(_QUARTER, 1)
    doubled = torch.stack((even, odd), dim=dim + 1)
    shape = list(planes.shape)
    shape[dim] *= 2
    return doubled.reshape(shape)


def _halve(planes: torch.Tensor, dim: int, cosited: bool) -> torch.Tensor:
    """Half the samples along one axis (rounded up), low-passed: [1 2 1]/4 where co-sited, [1 3 3 1]/8 between."""
    length = planes.shape[dim]
    half = (length + 1) // 2
    pad = [0, 0, 0, 0]
    pad[0 if dim == 3 else 2], pad[1 if dim == 3 else 3] = 1, 2
    padded = F.pad(planes, pad, mode="replicate")
    weights = (0.25, 0.5, 0.25) if cosited else (0.125, 0.375, 0.375, 0.125)
    index = [slice(None)] * 4
    total: torch.Tensor | None = None
    for step, weight in enumerate(weights):
        index[dim] = slice(step, step + 2 * half - 1, 2)
        part = padded[tuple(index)]
        total = part * weight if total is None else total.add_(part, alpha=weight)
    assert total is not None
    return total


def upsample_chroma(chroma: torch.Tensor, pixel: PixelFormat, location: str, height: int, width: int) -> torch.Tensor:
    """Bring (N, 2, h, w) chroma to the size of the picture."""
    across, down = _COSITED.get(location, _COSITED["left"])
    for _ in range(pixel.chroma_shift[0]):
        chroma = _double(chroma, 3, across)
    for _ in range(pixel.chroma_shift[1]):
        chroma = _double(chroma, 2, down)
    return chroma[..., :height, :width]


def downsample_chroma(chroma: torch.Tensor, pixel: PixelFormat, location: str) -> torch.Tensor:
    """Bring (N, 2, H, W) chroma to the subsampled size."""
    across, down = _COSITED.get(location, _COSITED["left"])
    for _ in range(pixel.chroma_shift[0]):
        chroma = _halve(chroma, 3, across)
    for _ in range(pixel.chroma_shift[1]):
        chroma = _halve(chroma, 2, down)
    return chroma


def to_rgb(planes: tuple[torch.Tensor, ...], pixel: PixelFormat, color: ColorInfo) -> torch.Tensor:
    """Planes, each (N, h, w), to (N, 3, H, W) float32 R'G'B' (alpha is left to the caller)."""
    if pixel.model == "rgb":
        green, blue, red = (normalise(plane, pixel, "full") for plane in planes[:3])
        return torch.stack((red, green, blue), 1)
    luma = normalise(planes[0], pixel, color.range)
    chroma = normalise(torch.stack(planes[1:3], 1), pixel, color.range, chroma=True) if pixel.model == "yuv" else None
    # Black and white in colour planes is common, and looking is cheap where it makes no device wait.
    if chroma is None or (chroma.device.type == "cpu" and not chroma.any()):
        return luma.unsqueeze(1).expand(-1, 3, -1, -1)
    chroma = upsample_chroma(chroma, pixel, color.chroma_location, luma.shape[1], luma.shape[2])
    kr, kb = luma_weights(color.matrix)
    kg = 1.0 - kr - kb
    cb, cr = chroma[:, 0], chroma[:, 1]
    rgb = torch.empty((luma.shape[0], 3, luma.shape[1], luma.shape[2]), dtype=torch.float32, device=luma.device)
    torch.add(luma, cr, alpha=2 - 2 * kr, out=rgb[:, 0])
    torch.add(luma, cr, alpha=-(2 - 2 * kr) * kr / kg, out=rgb[:, 1])
    rgb[:, 1].add_(cb, alpha=-(2 - 2 * kb) * kb / kg)
    torch.add(luma, cb, alpha=2 - 2 * kb, out=rgb[:, 2])
    return rgb


def has_rgb(pixel: PixelFormat, color: ColorInfo) -> bool:
    """Whether `to_rgb` knows how."""
    try:
        return pixel.model != "yuv" or bool(luma_weights(color.matrix))
    except SourceError:
        return False


def luma_of(rgb: torch.Tensor, matrix: str) -> torch.Tensor:
    """(N, 3, H, W) R'G'B' to (N, H, W) luma; "gbr" weighs as BT.709."""
    kr, kb = luma_weights("bt709" if matrix == "gbr" else matrix)
    luma = rgb[:, 0] * kr
    return luma.add_(rgb[:, 1], alpha=1.0 - kr - kb).add_(rgb[:, 2], alpha=kb)


def from_rgb(rgb: torch.Tensor, pixel: PixelFormat, color: ColorInfo) -> tuple[torch.Tensor, ...]:
    """(N, 3, H, W) R'G'B' to planes, quantised (without alpha)."""
    if pixel.model == "rgb":
        return tuple(quantise(rgb[:, channel], pixel, "full") for channel in (1, 2, 0))
    luma = luma_of(rgb, color.matrix)
    stored = quantise(luma, pixel, color.range)
    if pixel.model == "gray":
        return (stored,)
    kr, kb = luma_weights(color.matrix)
    chroma = torch.stack((rgb[:, 2] - luma, rgb[:, 0] - luma), 1)
    chroma = downsample_chroma(chroma, pixel, color.chroma_location)
    cb = quantise(chroma[:, 0] / (2 - 2 * kb), pixel, color.range, chroma=True)
    cr = quantise(chroma[:, 1] / (2 - 2 * kr), pixel, color.range, chroma=True)
    return stored, cb, cr


def convert_color(rgb: torch.Tensor, source: ColorInfo, target: ColorInfo) -> torch.Tensor:
    """Move R'G'B' to the target's transfer and primaries: a no-op wherever the source's own are kept.

    Between linear light and a display's curve (sRGB's, or BT.709's) where one of the two is ``linear``; between
    primaries in linear light of a 2.4 display (BT.1886).

    Raises SourceError where the source is HDR or its primaries are not known: that needs tone mapping by a person.
    """
    if source.transfer != target.transfer:
        if source.transfer == "linear":
            rgb = _to_curve(rgb, target.transfer)
        elif target.transfer == "linear":
            rgb = _to_linear(rgb, source.transfer)
    if source.primaries == target.primaries:
        return rgb
    if source.primaries not in PRIMARIES or source.transfer in ("smpte2084", "arib-std-b67"):
        raise SourceError(f"cannot convert {source.primaries}/{source.transfer} to {target.primaries}: grade it first")
    matrix = (torch.linalg.inv(to_xyz(target.primaries)) @ to_xyz(source.primaries)).to(rgb)
    linear = rgb.sign() * rgb.abs().pow(2.4)
    mixed = torch.einsum("ij,njhw->nihw", matrix, linear)
    return mixed.sign() * mixed.abs().pow(1 / 2.4)


# Slope at black, threshold in linear light, scale, offset, exponent: IEC 61966-2-1 and BT.709.
_CURVES = {
    "iec61966-2-1": (12.92, 0.0031308, 1.055, 2.4),
    "bt709": (4.5, 0.018053968510807, 1.099296826809442, 1 / 0.45),
}


def _curve(transfer: str) -> tuple[float, float, float, float]:
    if transfer in ("smpte2084", "arib-std-b67", "log"):
        raise SourceError(f"cannot convert {transfer} to or from linear light: grade it first")
    return _CURVES["iec61966-2-1" if transfer == "iec61966-2-1" else "bt709"]


def _to_curve(linear: torch.Tensor, transfer: str) -> torch.Tensor:
    slope, threshold, scale, exponent = _curve(transfer)
    size = linear.abs()
    return linear.sign() * torch.where(size < threshold, size * slope, scale * size.pow(1 / exponent) - (scale - 1))


def _to_linear(values: torch.Tensor, transfer: str) -> torch.Tensor:
    slope, threshold, scale, exponent = _curve(transfer)
    size = values.abs()
    return values.sign() * torch.where(
        size < threshold * slope, size / slope, ((size + scale - 1) / scale).pow(exponent)
    )


def encode_transfer(values: torch.Tensor, transfer: str) -> torch.Tensor:
    """Bring scan values to a display-like scale, the one networks were trained on; `decode_transfer` undoes it.

    ``linear``: signed power 1/2.2. ``log``: Cineon printing density (0.002 D a code, 685 = white, gamma 0.6).
    """
    if transfer == "linear":
        return values.sign() * values.abs().pow(1 / 2.2)
    if transfer == "log":
        return torch.exp((values * 1023 - 685) * (0.002 / 0.6 * _LN10 / 2.2))
    return values


def decode_transfer(values: torch.Tensor, transfer: str) -> torch.Tensor:
    """The inverse of `encode_transfer`."""
    if transfer == "linear":
        return values.sign() * values.abs().pow(2.2)
    if transfer == "log":
        return (values.clamp_min(1e-6).log() / (0.002 / 0.6 * _LN10 / 2.2) + 685) / 1023
    return values


_LN10 = 2.302585092994046
