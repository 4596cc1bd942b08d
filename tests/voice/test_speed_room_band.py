"""What dewow, dereverb and bandwidth achieve on damage whose truth is known, and what they leave alone."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from voice_contract import analysed, rendered

from restore.damage.sound import Hum, level_of
from restore.damage.sound_speed import Wow, read_at
from restore.frames import AudioFormat
from restore.voice import SOUND

RATE = 16000
MONO = AudioFormat(RATE, "mono", 1)
KNOT = 2 * 256 / RATE
"""Seconds from one value of a course to the next, at this rate."""


@cache
def voice(seconds: int = 20, harmonics: int = 30) -> torch.Tensor:
    """Syllables of a voice whose pitch never rests, noise bursts between them like s and f, and pauses."""
    time = torch.arange(seconds * RATE, dtype=torch.float64) / RATE
    random = np.random.default_rng(3)
    steps = np.interp(
        time.numpy(), np.arange(0, seconds + 1, 0.13), random.uniform(110, 190, len(np.arange(0, seconds + 1, 0.13)))
    )
    phase = 2 * math.pi * torch.cumsum(torch.from_numpy(steps), 0) / RATE
    sound = sum(torch.sin(number * phase + 0.6 * number**2) / number for number in range(1, harmonics))
    beat = torch.sin(2 * math.pi * 2.2 * time)
    hiss = torch.randn(len(time), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = 0.1 * sound * (beat + 0.2).clamp(0, 1) + 0.03 * hiss * (-beat - 0.7).clamp(0, 1)
    return (whole * (torch.sin(2 * math.pi * 0.4 * time) > -0.6))[None].float()


def music(seconds: int = 20) -> torch.Tensor:
    """Chords of steady tones, one a second."""
    time = torch.arange(seconds * RATE, dtype=torch.float64) / RATE
    random = np.random.default_rng(5)
    sound = torch.zeros_like(time)
    for bar in range(seconds):
        swell = ((time - bar) * 8).clamp(0, 1) * ((bar + 1.05 - time) * 6).clamp(0, 1)
        for hertz in random.choice([220, 246.94, 293.66, 329.63, 392, 440], 3, replace=False):
            for number in range(1, 5):
                sound += swell * 0.05 / number * torch.sin(2 * math.pi * hertz * number * time + random.uniform(0, 6))
    return sound[None].float()


def left(wow: Wow, sound: torch.Tensor, course: np.ndarray) -> tuple[float, float]:
    """Root mean square of the speed's wavering, before and after the course is undone; the ends left out."""
    late = ((wow.places(sound.shape[1], RATE) - torch.arange(sound.shape[1])) / RATE).numpy()
    late = late[:: round(KNOT * RATE)]
    count = min(len(late), len(course))
    inner = slice(round(2 / KNOT), count - round(2 / KNOT))
    before, after = late[:count], late[:count] - course[:count]
    return tuple(float(np.gradient(one, KNOT)[inner].std()) for one in (before, after))  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["hum", "music"])
def test_wow_is_undone(kind: str) -> None:
    wow = Wow(0.01, 0.0, 0.9, seed=1)
    sound = Hum(50, -18, 8, seed=2).apply(voice(), RATE)[0] if kind == "hum" else music()
    wavering = wow.apply(sound, RATE)
    state = analysed(SOUND.build("dewow"), wavering, MONO)
    before, after = left(wow, sound, state.arrays["course"])
    assert after < 0.4 * before
    assert state.values["wow_percent"] == pytest.approx(100 * before, rel=0.35)
    repaired = rendered(SOUND.build("dewow"), wavering, MONO, state)
    again = analysed(SOUND.build("dewow"), repaired, MONO).values["wow_percent"]
    assert again < 0.4 * state.values["wow_percent"]


def test_flutter_is_followed() -> None:
    wow = Wow(0.0, 0.004, 0.8, 6.0, seed=3)
    state = analysed(SOUND.build("dewow"), wow.apply(music(), RATE), MONO)
    before, after = left(wow, music(), state.arrays["course"])
    assert after < 0.5 * before


def test_sound_stays_with_the_picture() -> None:
    """Nothing moves at the ends, nor on average over ten seconds, nor far."""
    sound = Hum(60, -18, 8, seed=2).apply(voice(), RATE)[0]
    slow = torch.linspace(0, 1, sound.shape[1], dtype=torch.float64) ** 2 * sound.shape[1]  # ever faster
    course = analysed(SOUND.build("dewow"), Wow(0.015, seed=4).apply(read_at(sound, slow), RATE), MONO).arrays["course"]
    assert len(course)
    assert not course[:3].any()
    assert not course[-3:].any()
    window = round(10 / KNOT)
    assert np.abs(np.convolve(course, np.hanning(window) / np.hanning(window).sum(), mode="valid")).max() < 0.001
    assert np.abs(course).max() <= 0.03


def test_a_voice_alone_says_nothing_of_the_machine() -> None:
    state = analysed(SOUND.build("dewow"), voice(), MONO)
    assert not len(state.arrays["course"])
    assert torch.equal(rendered(SOUND.build("dewow"), voice(), MONO, state), voice())


def test_steady_music_stays() -> None:
    assert torch.equal(rendered(SOUND.build("dewow"), music(), MONO), music())


def room(seconds: float = 0.7) -> torch.Tensor:
    """A room's answer: the direct sound and noise that decays by 60 dB in that time."""
    time = torch.arange(round(seconds * RATE)) / RATE
    answer = torch.randn(len(time), generator=torch.Generator().manual_seed(2)) * 10 ** (-3 * time / seconds) * 0.06
    answer[0] = 1.0
    return answer


def through(sound: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    size = sound.shape[1] + len(answer)
    return torch.fft.irfft(torch.fft.rfft(sound, size) * torch.fft.rfft(answer, size), size)[:, : sound.shape[1]]


def off_by(sound: torch.Tensor, wanted: torch.Tensor) -> float:
    """Scale-invariant ratio of signal to distortion, dB."""
    target = wanted * ((sound * wanted).sum() / wanted.square().sum())
    return 20 * math.log10(level_of(target) / level_of(sound - target))


def test_late_reverberation_goes() -> None:
    answer = room()
    wet = through(voice(12), answer)
    early = through(voice(12), answer[: round(0.03 * RATE)])
    whole, subtracted = (rendered(SOUND.build("dereverb", {"atten_limit": limit}), wet, MONO) for limit in (8.0, 0.0))
    assert off_by(whole, early) > off_by(wet, early) + 2
    assert off_by(subtracted, early) > off_by(wet, early) + 1
    pause = (voice(12)[0].abs() < 1e-6).nonzero()[:, 0]
    assert level_of(whole[:, pause]) < 0.6 * level_of(wet[:, pause])


def test_a_dry_voice_suffers_little() -> None:
    assert off_by(rendered(SOUND.build("dereverb"), voice(12), MONO), voice(12)) > 10


def cut_off(sound: torch.Tensor, hertz: float) -> torch.Tensor:
    """Nothing above a frequency."""
    size = 2 * sound.shape[1]
    gain = (1 + (torch.fft.rfftfreq(size, 1 / RATE).double() / hertz) ** 48).rsqrt()
    return torch.fft.irfft(torch.fft.rfft(sound.double(), size) * gain, size)[:, : sound.shape[1]].float()


def band(sound: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return cut_off(sound, high) - cut_off(sound, low)


def test_a_narrow_band_is_carried_on() -> None:
    narrow = cut_off(voice(8), 3300)
    state = analysed(SOUND.build("bandwidth"), narrow, MONO)
    assert 2600 < state.values["edge_hertz"] < 3600
    wide = rendered(SOUND.build("bandwidth"), narrow, MONO, state)
    added, edge = level_of(band(wide, 3600, 5500)), level_of(band(narrow, 2400, 3200))
    assert level_of(band(narrow, 3600, 5500)) * 10 < added < edge
    assert off_by(cut_off(wide, 2500), cut_off(narrow, 2500)) > 40
    half = rendered(SOUND.build("bandwidth", {"strength": 0.5}), narrow, MONO, state)
    assert torch.allclose(half - narrow, 0.5 * (wide - narrow), atol=1e-5)


def test_nothing_is_added_to_silence_or_to_noise() -> None:
    narrow = cut_off(voice(8), 3300)
    still = narrow[0].unfold(0, 4096, 1).abs().amax(1) < 1e-5  # runs of a quarter of a second
    hiss = 0.002 * torch.randn(narrow.shape, generator=torch.Generator().manual_seed(4))
    for sound, most in ((narrow, 1e-4), (narrow + cut_off(hiss, 3300), 1e-3)):
        wide = rendered(SOUND.build("bandwidth", {"edge": 3300}), sound, MONO)
        added = (wide - sound)[0, 2048 : 2048 + len(still)][still]
        assert len(added) > RATE / 4
        assert added.abs().max() < most


def test_a_whole_band_is_left_alone() -> None:
    whole = voice(8, 70)
    assert analysed(SOUND.build("bandwidth"), whole, MONO).values["edge_hertz"] is None
    assert torch.equal(rendered(SOUND.build("bandwidth"), whole, MONO), whole)
