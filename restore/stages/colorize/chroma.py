"""From the colours people and networks name to the chroma that is added to luma.

Luma stays the source's to the bit, so colour enters as Cb and Cr of the source's own matrix. Those two numbers do not
mean a colour by themselves: with another Y' the same Cb and Cr are another hue and another saturation. And a colour of
the same CIE lightness as a grey has another luma than it, since luma is a weighted sum of *gamma-encoded* values. So
a*, b* are not converted at the grey's lightness; the colour sought is the one that has the a*, b* named **and** the
luma there is. Its Cb and Cr, added to Y', then give that very colour.
"""

from __future__ import annotations

import torch

from restore.colorimetry import lab_to_rgb, lightness_of, luma_weights, rgb_to_lab
from restore.frames import VideoFormat


def weights_of(format: VideoFormat) -> tuple[float, float]:
    """Kr and Kb by which the chroma of a format is made: BT.709's for RGB, as the pipeline has it."""
    return luma_weights("bt709" if format.pixel.model == "rgb" else format.color.matrix)


def to_rgb(luma: torch.Tensor, chroma: torch.Tensor, weights: tuple[float, float]) -> torch.Tensor:
    """(N, H, W) luma and (N, 2, H, W) Cb and Cr to (N, 3, H, W) R'G'B'."""
    kr, kb = weights
    red = luma + (2 - 2 * kr) * chroma[:, 1]
    blue = luma + (2 - 2 * kb) * chroma[:, 0]
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return torch.stack((red, green, blue), 1)


def of_rgb(rgb: torch.Tensor, weights: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 3, H, W) R'G'B' to luma (N, H, W), and Cb and Cr (N, 2, H, W)."""
    kr, kb = weights
    luma = kr * rgb[:, 0] + (1 - kr - kb) * rgb[:, 1] + kb * rgb[:, 2]
    return luma, torch.stack(((rgb[:, 2] - luma) / (2 - 2 * kb), (rgb[:, 0] - luma) / (2 - 2 * kr)), 1)


def within_gamut(luma: torch.Tensor, chroma: torch.Tensor, weights: tuple[float, float]) -> torch.Tensor:
    """The same hue, as much weaker as it must be for R'G'B' to lie within [0, 1] at this luma."""
    kr, kb = weights
    red, blue = (2 - 2 * kr) * chroma[:, 1], (2 - 2 * kb) * chroma[:, 0]
    green = -(kr * red + kb * blue) / (1 - kr - kb)
    highest = torch.maximum(torch.maximum(red, green), blue).clamp_min(1e-6)
    lowest = torch.minimum(torch.minimum(red, green), blue).clamp_max(-1e-6)
    room = torch.minimum((1 - luma) / highest, -luma / lowest).clamp(0, 1)
    return chroma * room.unsqueeze(1)


def of_lab(luma: torch.Tensor, ab: torch.Tensor, weights: tuple[float, float]) -> torch.Tensor:
    """Cb and Cr, (N, 2, H, W), of the colours that have a*, b* `ab` (N, 2, H, W) and luma `luma` (N, H, W)."""
    light = lightness_of(luma)
    found, made = of_rgb(lab_to_rgb(torch.cat((light.unsqueeze(1), ab), 1)), weights)
    slope = torch.full_like(luma, 100.0)
    for _ in range(6):  # the secant method: L* rises by about 100 as luma rises by 1, in strong colours by more or less
        step = slope * (luma - found)
        light, before = light + step, found
        found, made = of_rgb(lab_to_rgb(torch.cat((light.unsqueeze(1), ab), 1)), weights)
        gain = found - before
        slope = torch.where(gain.abs() > 1e-6, step / gain, slope).clamp(30, 300)
    return within_gamut(luma, made, weights)


def ab_of(rgb: torch.Tensor) -> torch.Tensor:
    """a*, b*, (N, 2, H, W), of R'G'B'."""
    return rgb_to_lab(rgb.clamp(0, 1))[:, 1:]


def of_paint(luma: torch.Tensor, color: tuple[float, float, float], weights: tuple[float, float]) -> torch.Tensor:
    """Cb and Cr, (N, 2, H, W), of one paint, R'G'B' `color`, under the light that gives each place its luma.

    In shadow a paint keeps its chromaticity, so a*, b* fall with lightness; in light they rise a little at most: what
    is brighter than the colour named is a highlight.
    """
    light, a, b = rgb_to_lab(torch.tensor(color).reshape(1, 3, 1, 1).to(luma))[0, :, 0, 0]
    share = (lightness_of(luma) / light.clamp_min(1)).clamp(0, 1.15).unsqueeze(1)
    return of_lab(luma, share * torch.stack((a, b))[None, :, None, None], weights)


STEP = 1 / 254
"""What the plan's 8 bits count in: 127 of them are the largest chroma there is."""


def stored(chroma: torch.Tensor) -> torch.Tensor:
    """Chroma as the plan keeps it: int8, in `STEP`."""
    return (chroma / STEP).round().clamp(-127, 127).to(torch.int8)


def from_stored(values: torch.Tensor) -> torch.Tensor:
    """The inverse of `stored`."""
    return values.float() * STEP
