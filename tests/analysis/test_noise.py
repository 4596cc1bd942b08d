"""The noise meter: right about strength and spectrum, whatever the picture shows and however it moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from restore.analysis.noise import LEVELS, Noise, NoiseMeter
from restore.damage.grain import Grain


def film(frames: int, speed: float = 1.5) -> torch.Tensor:
    """(N, 3, 192, 256): a picture with texture in half of it, which drifts."""
    random = torch.Generator().manual_seed(9)
    soft = F.interpolate(torch.rand((1, 1, 6, 10), generator=random), (220, 320), mode="bicubic").clamp(0, 1)
    busy = F.interpolate(torch.rand((1, 1, 110, 160), generator=random) - 0.5, (220, 320), mode="bicubic")
    picture = 0.1 + 0.8 * soft
    picture[..., 110:, :] += 0.4 * busy[..., 110:, :]
    made = [picture[0, :, 5:197, int(speed * n) : int(speed * n) + 256] for n in range(frames)]
    return torch.stack(made).expand(-1, 3, -1, -1).clamp(0, 1)


def meter_of(frames: torch.Tensor) -> Noise:
    meter = NoiseMeter()
    for frame in (frames * 255).round() / 255:
        meter.add([frame[0].numpy()])
    return meter.found()["luma"]


@pytest.mark.parametrize(
    "grain", [Grain(1, 0.06, 0.8), Grain(2, 0.02, 0.4), Grain(3, 0.05, 0.6, law="density", shape="disc")]
)
@pytest.mark.parametrize("frames", [6, 2])
def test_it_finds_the_curve(grain: Grain, frames: int) -> None:
    clean = film(frames)
    grainy = grain.apply(clean)
    found = meter_of(grainy)
    tone = clean[:, 0]
    for number in (3, 4, 5, 6):
        here = (tone > LEVELS[number] - 0.05) & (tone < LEVELS[number] + 0.05)
        true = float((grainy - clean)[:, 0][here].std())
        assert found.sigma[number] == pytest.approx(true, rel=0.15)
    assert found.is_there


def test_a_clean_film_has_none() -> None:
    assert not meter_of(film(6)).is_there
    assert not meter_of(torch.full((4, 3, 64, 64), 0.4)).is_there


def test_one_frame_will_do() -> None:
    grain = Grain(4, 0.05, 0.6)
    assert meter_of(grain.apply(film(1))).sigma[5] == pytest.approx(0.05, rel=0.25)


def test_dirt_does_not_count() -> None:
    grainy = Grain(5, 0.03, 0.6).apply(film(6))
    clean = meter_of(grainy)
    random = np.random.default_rng(5)
    for frame in grainy:
        for _ in range(60):
            y, x = random.integers(0, 180), random.integers(0, 240)
            frame[:, y : y + 6, x : x + 6] = 0.95
    assert meter_of(grainy).sigma[3:7] == pytest.approx(clean.sigma[3:7], rel=0.2)


def test_a_repeated_frame_does_not_hide_the_grain() -> None:
    grainy = Grain(6, 0.05, 0.6).apply(film(4, speed=0)).repeat_interleave(2, dim=0)
    assert meter_of(grainy).sigma[5] == pytest.approx(0.05, rel=0.15)


def test_tiny_frames_and_no_frames_at_all_have_none() -> None:
    assert not meter_of(torch.rand(3, 3, 5, 5)).is_there
    assert NoiseMeter().found() == {}


def test_it_survives_the_plan() -> None:
    found = meter_of(Grain(7, 0.05, 0.7).apply(film(4)))
    again = Noise.parse(found.as_json())
    assert again.sigma == pytest.approx(found.sigma, abs=1e-5)
    assert again.spectrum == pytest.approx(found.spectrum, abs=1e-3)
    between = found.at(np.array([[0.0, 0.40, 1.0]], np.float32))[0]
    assert between[0] == found.sigma[0]
    assert between[1] == pytest.approx((found.sigma[3] + found.sigma[4]) / 2)
    assert between[2] == pytest.approx(found.sigma[9], rel=0.02)
