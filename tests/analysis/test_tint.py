"""Tinted and toned pictures: known from colour ones, measured, and neutral again afterwards."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.analysis.tint import NEUTRAL, Tint, measure_tint, neutralised


def grey_frames(seed: int = 0, height: int = 120, width: int = 160) -> torch.Tensor:
    """Soft shapes from black to white, with grain."""
    generator = torch.Generator().manual_seed(seed)
    soft = F.interpolate(torch.rand(3, 1, 6, 8, generator=generator), (height, width), mode="bicubic")
    return (soft + 0.02 * torch.randn(soft.shape, generator=generator)).clamp(0, 1)


def toned(luma: torch.Tensor, cb: float, cr: float) -> torch.Tensor:
    """Sepia: strongest in the mid-tones, none in black and white; 4:2:0."""
    small = F.avg_pool2d(luma, 2)
    return 4 * small * (1 - small) * torch.tensor((cb, cr)).view(1, 2, 1, 1)


def tinted(luma: torch.Tensor, cb: float, cr: float) -> torch.Tensor:
    """A dyed base: strongest in white."""
    return F.avg_pool2d(luma, 2) * torch.tensor((cb, cr)).view(1, 2, 1, 1)


def scene(luma: torch.Tensor) -> torch.Tensor:
    """A sky over a meadow: colour that does not follow from grey."""
    rows = torch.linspace(0, 1, luma.shape[-2] // 2).view(1, 1, -1, 1).expand(len(luma), 1, -1, luma.shape[-1] // 2)
    return torch.where(
        rows < 0.5, torch.tensor((0.08, -0.06)).view(1, 2, 1, 1), torch.tensor((-0.1, -0.02)).view(1, 2, 1, 1)
    )


def test_grey_is_neutral() -> None:
    luma = grey_frames()
    tint = measure_tint(luma, torch.zeros(3, 2, 60, 80))
    assert tint.kind == "neutral"
    assert (tint.strength, tint.unexplained) == (0, 0)
    assert tint.curve == NEUTRAL.curve


@pytest.mark.parametrize("colouring", [toned, tinted])
@pytest.mark.parametrize("colour", [(-0.08, 0.05), (0.1, -0.04), (0.0, 0.06)])
def test_a_tint_is_found_and_taken_away(colouring, colour) -> None:
    luma = grey_frames()
    noise = 0.004 * torch.randn(3, 2, 60, 80, generator=torch.Generator().manual_seed(1))
    chroma = colouring(luma, *colour) + noise
    tint = measure_tint(luma, chroma)
    assert tint.kind == "tinted"
    left = F.avg_pool2d(neutralised(chroma, luma, tint), 4)
    assert left.norm(dim=1).mean() < 0.12 * F.avg_pool2d(chroma, 4).norm(dim=1).mean()


def test_a_cast_over_a_scene_is_still_colour() -> None:
    luma = grey_frames()
    assert measure_tint(luma, scene(luma)).kind == "colour"
    assert measure_tint(luma, scene(luma) + toned(luma, -0.08, 0.05)).kind == "colour"


def test_colour_in_a_corner_is_not_taken_for_the_tint() -> None:
    """A stamp or a hand-coloured spot leaves the measured curve where it was."""
    luma = grey_frames()
    plain = toned(luma, -0.08, 0.05)
    stained = plain.clone()
    stained[..., :12, :16] += torch.tensor((0.2, -0.2)).view(1, 2, 1, 1)
    a, b = (np.array(measure_tint(luma, chroma).curve) for chroma in (plain, stained))
    assert np.abs(a - b).max() < 0.01


def test_levels_that_do_not_occur_follow_their_neighbours() -> None:
    luma = 0.4 + 0.2 * grey_frames()
    curve = measure_tint(luma, torch.full((3, 2, 60, 80), 0.05)).curve
    assert np.allclose(curve, 0.05, atol=1e-4)


def test_an_empty_picture_is_neutral() -> None:
    assert measure_tint(torch.zeros(1, 1, 32, 32), torch.zeros(1, 2, 16, 16)).kind == "neutral"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), min_size=9, max_size=9), st.floats(-0.5, 1.5))
def test_the_curve_is_read_between_its_points(curve, value) -> None:
    found = Tint(tuple(curve), 0, 0).chroma(torch.full((1, 1, 1, 1), value))[0, :, 0, 0]
    expected = [np.interp(value, np.linspace(0, 1, 9), [point[i] for point in curve]) for i in (0, 1)]
    assert np.allclose(found, expected, atol=1e-5)
