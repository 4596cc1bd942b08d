"""Colour arithmetic, against published numbers and its own inverses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from restore.colorimetry import delta_e, lab_to_rgb, lightness_of, rgb_to_lab

SHARMA = [
    # From the supplementary data of Sharma, Wu and Dalal (2005): two colours and their difference.
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "expected"), SHARMA)
def test_ciede2000(first: tuple[float, ...], second: tuple[float, ...], expected: float) -> None:
    a, b = torch.tensor([first]).double(), torch.tensor([second]).double()
    assert float(delta_e(a, b)) == pytest.approx(expected, abs=1e-4)
    assert float(delta_e(b, a)) == pytest.approx(expected, abs=1e-4)


@given(st.tuples(*[st.floats(0, 1, width=32)] * 3))
def test_lab_there_and_back(color: tuple[float, float, float]) -> None:
    rgb = torch.tensor(color).reshape(1, 3, 1, 1)
    assert torch.allclose(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=2e-4)


def test_greys_have_no_colour() -> None:
    luma = torch.linspace(0, 1, 11).reshape(1, 1, 1, -1)
    lab = rgb_to_lab(luma.expand(-1, 3, -1, -1))
    assert torch.allclose(lab[:, 1:], torch.zeros(()), atol=2e-3)
    assert torch.allclose(lab[:, :1], lightness_of(luma), atol=1e-3)
    assert float(lab[0, 0, 0, -1]) == pytest.approx(100, abs=1e-3)
    assert float(rgb_to_lab(torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1))[0, 0]) == pytest.approx(53.24, abs=0.02)
