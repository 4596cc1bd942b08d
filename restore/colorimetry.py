"""The colours that numbers mean: luma weights, primaries, transfer curves, CIE Lab. Pure functions of tensors.

Equations of ITU-T H.273, IEC 61966-2-1 (sRGB) and CIE 15 (Lab).
"""

from __future__ import annotations

import torch

from restore.errors import SourceError

_KR_KB = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}


def luma_weights(matrix: str) -> tuple[float, float]:
    """Kr and Kb of a matrix. Raises SourceError for those that are not of this kind (YCgCo, ICtCp, ...)."""
    try:
        return _KR_KB[matrix]
    except KeyError:
        raise SourceError(
            f"matrix {matrix} is not supported: convert the source to one of {', '.join(_KR_KB)}"
        ) from None


PRIMARIES = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt470bg": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    "smpte170m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    "smpte240m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "smpte432": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""CIE 1931 x, y of red, green and blue; white is D65 for all."""
_D65 = (0.3127, 0.3290)


def to_xyz(primaries: str) -> torch.Tensor:
    """(3, 3) float64: linear RGB of these primaries to CIE XYZ, white at Y = 1. Raises KeyError if they are unknown."""
    points = torch.tensor([(x / y, 1.0, (1 - x - y) / y) for x, y in PRIMARIES[primaries]], dtype=torch.float64).T
    white = torch.tensor([_D65[0] / _D65[1], 1.0, (1 - sum(_D65)) / _D65[1]], dtype=torch.float64)
    scales: torch.Tensor = torch.linalg.solve(points, white)
    return points * scales


def srgb_to_linear(values: torch.Tensor) -> torch.Tensor:
    """IEC 61966-2-1 decoding; negative values by symmetry."""
    size = values.abs()
    return values.sign() * torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055).pow(2.4))


def linear_to_srgb(values: torch.Tensor) -> torch.Tensor:
    """The inverse of `srgb_to_linear`."""
    size = values.abs()
    return values.sign() * torch.where(size <= 0.0031308, size * 12.92, 1.055 * size.pow(1 / 2.4) - 0.055)


# CIE 15: f(t) is the cube root above (6/29)^3, a straight line below.
_EDGE = 6 / 29


def _cube_root(t: torch.Tensor) -> torch.Tensor:
    return torch.where(t > _EDGE**3, t.clamp_min(_EDGE**3).pow(1 / 3), t / (3 * _EDGE**2) + 4 / 29)


def _cube(f: torch.Tensor) -> torch.Tensor:
    return torch.where(f > _EDGE, f.pow(3), 3 * _EDGE**2 * (f - 4 / 29))


def lightness_of(luma: torch.Tensor) -> torch.Tensor:
    """CIE L* (0 to 100) of the neutral grey R' = G' = B' = `luma`, on sRGB's curve; any shape."""
    return 116 * _cube_root(srgb_to_linear(luma)) - 16


def rgb_to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) R'G'B' nominally [0, 1], taken as sRGB, to CIE L*, a*, b* (D65)."""
    matrix = to_xyz("bt709").to(rgb)
    xyz = torch.einsum("ij,njhw->nihw", matrix, srgb_to_linear(rgb))
    white = matrix.sum(1)
    x, y, z = _cube_root(xyz / white[None, :, None, None]).unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), 1)


def lab_to_rgb(lab: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) CIE L*, a*, b* to R'G'B' as sRGB; outside [0, 1] where sRGB has no such colour."""
    matrix = to_xyz("bt709").to(lab)
    light, a, b = lab.unbind(1)
    y = (light + 16) / 116
    xyz = _cube(torch.stack((y + a / 500, y, y - b / 200), 1)) * matrix.sum(1)[None, :, None, None]
    return linear_to_srgb(torch.einsum("ij,njhw->nihw", torch.linalg.inv(matrix.double()).to(lab), xyz))


def delta_e(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """CIEDE2000 colour difference of two (N, 3, ...) Lab tensors, (N, ...).

    Sharma, Wu, Dalal, "The CIEDE2000 Color-Difference Formula", Color Research and Application 30 (2005).
    """
    (l1, a1, b1), (l2, a2, b2) = first.double().unbind(1), second.double().unbind(1)
    c7 = ((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2).pow(7)
    g = 0.5 * (1 - (c7 / (c7 + 25.0**7)).sqrt())
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = (torch.rad2deg(torch.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    grey = (c1 * c2) == 0
    turn = (h2 - h1 + 180) % 360 - 180
    turn = torch.where((turn == -180) & (h2 > h1), 180.0, turn).masked_fill(grey, 0)
    dh = 2 * (c1 * c2).sqrt() * torch.sin(torch.deg2rad(turn / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = torch.where(grey, h1 + h2, (h1 + turn / 2) % 360)
    t = (
        1 - 0.17 * torch.cos(torch.deg2rad(mean_h - 30)) + 0.24 * torch.cos(torch.deg2rad(2 * mean_h))
        + 0.32 * torch.cos(torch.deg2rad(3 * mean_h + 6)) - 0.20 * torch.cos(torch.deg2rad(4 * mean_h - 63))
    )  # fmt: skip
    sl = 1 + 0.015 * (mean_l - 50) ** 2 / (20 + (mean_l - 50) ** 2).sqrt()
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    m7 = mean_c.pow(7)
    rt = -torch.sin(torch.deg2rad(60 * torch.exp(-(((mean_h - 275) / 25) ** 2)))) * 2 * (m7 / (m7 + 25.0**7)).sqrt()
    dl, dc = (l2 - l1) / sl, (c2 - c1) / sc
    dh = dh / sh
    return (dl**2 + dc**2 + dh**2 + rt * dc * dh).clamp_min(0).sqrt()
