"""Damage to sound: as much as was said, the same every time, and its truth true."""

from __future__ import annotations

import math

import pytest
import torch

from restore.damage.sound import Clipping, Crackle, Hiss, Hum, OpticalTrack, level_of
from restore.damage.sound_speed import Wow, read_at
from restore.damage.sound_voice import Hoarseness

RATE = 16000


@pytest.fixture(scope="module")
def tone() -> torch.Tensor:
    time = torch.arange(2 * RATE, dtype=torch.float64) / RATE
    voice = sum(torch.sin(2 * math.pi * 150 * number * time) / number for number in range(1, 9))
    return (0.1 * voice * (torch.sin(2 * math.pi * 1.5 * time) > -0.3))[None].float()


@pytest.mark.parametrize("snr", [5.0, 20.0])
@pytest.mark.parametrize("tilt", [0.0, -3.0])
def test_hiss_has_its_level_and_seed(tone: torch.Tensor, snr: float, tilt: float) -> None:
    noise = Hiss(snr, tilt, seed=3).apply(tone, RATE) - tone
    assert 20 * math.log10(level_of(tone) / level_of(noise)) == pytest.approx(snr, abs=0.05)
    assert torch.equal(noise + tone, Hiss(snr, tilt, seed=3).apply(tone, RATE))
    assert not torch.equal(noise + tone, Hiss(snr, tilt, seed=4).apply(tone, RATE))


def test_crackle_says_which_samples_it_touched(tone: torch.Tensor) -> None:
    damaged, touched = Crackle(seed=1).apply(tone, RATE)
    assert 0 < touched.float().mean() < 0.1
    assert torch.equal(damaged[:, ~touched], tone[:, ~touched])
    assert (damaged[:, touched] != tone[:, touched]).float().mean() > 0.99


def test_hum_is_the_sum_of_its_lines(tone: torch.Tensor) -> None:
    damaged, lines = Hum(level=-10, drift=0.003).apply(tone, RATE)
    assert torch.allclose(damaged - tone, lines.sum(0)[None], atol=1e-6)
    assert 20 * math.log10(level_of(lines.sum(0)) / level_of(tone)) == pytest.approx(-10, abs=1)


def test_clipping_names_the_clipped(tone: torch.Tensor) -> None:
    damaged, cut = Clipping(3).apply(tone, RATE)
    assert torch.equal(damaged[~cut], tone[~cut])
    assert (damaged[cut].abs() < tone[cut].abs()).all()


def test_an_optical_track_loses_its_treble(tone: torch.Tensor) -> None:
    noise = Hiss(0).noise((1, 4 * RATE), RATE)
    spectrum = torch.fft.rfft(OpticalTrack(high=4000).apply(noise, RATE)).abs().square()[0]
    hertz = torch.fft.rfftfreq(4 * RATE, 1 / RATE)
    low, high = (spectrum[(hertz > a) & (hertz < b)].mean() for a, b in ((500, 2000), (6500, 7500)))
    assert 10 * torch.log10(low / high) > 15


def test_reading_between_samples(tone: torch.Tensor) -> None:
    places = torch.arange(tone.shape[1], dtype=torch.float64)
    assert torch.allclose(read_at(tone, places), tone, atol=1e-6)
    time = (places + 0.37) / RATE
    sine = torch.sin(2 * math.pi * 3000 * places / RATE)[None]
    inside = slice(50, -50)
    assert (read_at(sine, places + 0.37) - torch.sin(2 * math.pi * 3000 * time))[:, inside].abs().max() < 1e-4


def test_wow_keeps_length_and_ends(tone: torch.Tensor) -> None:
    places = Wow().places(tone.shape[1], RATE)
    assert places[-1] == pytest.approx(tone.shape[1] - 1)
    assert (torch.diff(places) - 1).abs().max() < 0.02
    assert Wow().apply(tone, RATE).shape == tone.shape


def test_hoarseness_leaves_silence_silent_and_time_alone(tone: torch.Tensor) -> None:
    silence = torch.zeros(1, RATE)
    assert not Hoarseness().apply(silence, RATE).any()
    hoarse = Hoarseness(seed=2).apply(tone, RATE)
    size = 2 * tone.shape[1]
    match = torch.fft.irfft(torch.fft.rfft(hoarse[0], size) * torch.fft.rfft(tone[0], size).conj(), size)
    assert int(match.argmax()) in (0, 1, size - 1)
