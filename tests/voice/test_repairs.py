"""What the repairs achieve on a made-up voice; scripts/bench_voice.py measures them on real ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.special import exp1
from sounds import write_wav
from voice_contract import analysed, rendered, talk

from restore.analysis.voice_quality import voice_quality
from restore.damage.sound import Clipping, Crackle, Hiss, Hum, db, level_of
from restore.damage.sound_voice import Hoarseness
from restore.errors import ConsentError, OptionError
from restore.frames import AudioFormat
from restore.voice import SOUND
from restore.voice.dehiss.analysis import attenuation
from restore.voice.dehiss.gain import log_mmse_power
from restore.voice.repair_voice.analysis import BANDS, VoiceMeter

RATE = 16000
MONO, STEREO = AudioFormat(RATE, "mono", 1), AudioFormat(RATE, "stereo", 2)


def gain(repaired: torch.Tensor, damaged: torch.Tensor, clean: torch.Tensor) -> float:
    """dB by which the error fell."""
    return 20 * math.log10(level_of(damaged - clean) / level_of(repaired - clean))


@pytest.fixture(scope="module")
def voice() -> torch.Tensor:
    """Eight seconds of syllables, without the hum and clicks of the contract's sound."""
    time = torch.arange(8 * RATE, dtype=torch.float64) / RATE
    phase = 2 * math.pi * torch.cumsum(140 + 25 * torch.sin(2 * math.pi * 0.4 * time), 0) / RATE
    # Phases spread, as a throat spreads them: in step, harmonics would make a click of every cycle.
    sound = sum(torch.sin(number * phase + 0.6 * number**2) / number for number in range(1, 20))
    syllables = (torch.sin(2 * math.pi * 2.2 * time) + 0.2).clamp(0, 1) * (torch.sin(2 * math.pi * 0.4 * time) > -0.6)
    return (0.1 * sound * syllables + 1e-4 * torch.randn(len(time), generator=torch.Generator().manual_seed(0)))[
        None
    ].float()


def test_hiss_goes_and_no_further_than_allowed(voice: torch.Tensor) -> None:
    damaged = Hiss(10, seed=1).apply(voice, RATE)
    assert gain(rendered(SOUND.build("dehiss"), damaged, MONO), damaged, voice) > 6
    pause = slice(int(6.65 * RATE), int(7.1 * RATE))  # where `voice` rests
    for limit in (6.0, 12.0):
        result = rendered(SOUND.build("dehiss", {"atten_limit": limit}), damaged, MONO)
        down = 20 * math.log10(level_of(damaged[:, pause]) / level_of(result[:, pause]))
        assert limit - 1 < down < limit + 0.2


def test_how_far_to_go_is_found(voice: torch.Tensor) -> None:
    assert attenuation(5.0, 0.9) > 15 > attenuation(15.0, 0.9) > attenuation(25.0, 0.9)
    assert attenuation(5.0, 0.3) == attenuation(25.0, 0.9) < 10
    loud, stage = Hiss(5, seed=1).apply(voice, RATE), SOUND.build("dehiss")
    state = analysed(stage, loud, MONO)
    [found] = state.values["atten_limit"]
    assert 9 <= found <= 20
    explicit = SOUND.build("dehiss", {"atten_limit": found})
    assert torch.equal(rendered(stage, loud, MONO, state), rendered(explicit, loud, MONO, state))


def test_left_and_right_are_treated_as_one(voice: torch.Tensor) -> None:
    damaged = Hiss(10, seed=1).apply(torch.cat((voice, 0.5 * voice)), RATE)
    swapped = rendered(SOUND.build("dehiss"), damaged.flip(0), STEREO).flip(0)
    assert torch.allclose(rendered(SOUND.build("dehiss"), damaged, STEREO), swapped, atol=1e-5)


def test_clicks_are_filled_in(voice: torch.Tensor) -> None:
    damaged, touched = Crackle(15, 6, seed=2).apply(voice, RATE)
    repaired = rendered(SOUND.build("declick"), damaged, MONO)
    assert gain(repaired, damaged, voice) > 10
    assert (repaired != damaged)[0, ~touched].float().mean() < 0.02


@pytest.mark.parametrize(("frequency", "drift"), [(50.0, 0.0), (60.0, 0.003)])
def test_hum_is_subtracted(voice: torch.Tensor, frequency: float, drift: float) -> None:
    damaged, _ = Hum(frequency, -15, 6, drift, seed=5).apply(voice, RATE)
    stage = SOUND.build("dehum")
    assert analysed(stage, damaged, MONO).values["hum_hertz"] == frequency
    assert gain(rendered(stage, damaged, MONO), damaged, voice) > 18


def test_silence_gets_no_hum(voice: torch.Tensor) -> None:
    damaged, _ = Hum(50, -15, 6, seed=5).apply(voice, RATE)
    damaged[:, :RATE] = 0
    repaired = rendered(SOUND.build("dehum"), damaged, MONO)
    assert not repaired[:, :RATE].any()
    assert gain(repaired[:, RATE:], damaged[:, RATE:], voice[:, RATE:]) > 18


def test_without_hum_nothing_is_subtracted(voice: torch.Tensor) -> None:
    assert torch.equal(rendered(SOUND.build("dehum"), voice, MONO), voice)


def test_clipped_peaks_are_rebuilt(voice: torch.Tensor) -> None:
    damaged, cut = Clipping(9).apply(voice, RATE)
    stage = SOUND.build("declip")
    found = analysed(stage, damaged, MONO).values["clipped_at"]
    assert db(found) == pytest.approx(float(damaged.abs().max()), rel=0.01)
    repaired = rendered(stage, damaged, MONO)
    assert gain(repaired, damaged, voice) > 4
    assert torch.equal(repaired[~cut & (damaged.abs() < 0.98 * damaged.abs().max())],
                       damaged[~cut & (damaged.abs() < 0.98 * damaged.abs().max())])  # fmt: skip
    assert torch.equal(rendered(stage, voice, MONO), voice)


def test_heavier_clipping_too(voice: torch.Tensor) -> None:
    damaged, _ = Clipping(6).apply(voice, RATE)
    assert gain(rendered(SOUND.build("declip"), damaged, MONO), damaged, voice) > 2


def creak(seconds: float) -> torch.Tensor:
    """A voice that creaks: formants struck by pulses that close sharply, at times that stumble; and room tone."""
    random = np.random.default_rng(4)
    excited = np.zeros(round(seconds * RATE))
    at = 0.0
    while at < len(excited) - 400:
        width = int(random.uniform(40, 90))
        rise = np.sin(np.linspace(0, np.pi, width)) * np.linspace(0, 1, width) ** 2
        excited[int(at) : int(at) + width] += random.uniform(0.4, 1) * np.diff(rise, prepend=0.0)
        at += RATE * random.uniform(0.012, 0.035)
    for hertz, wide in ((600, 80), (1150, 110), (2500, 160), (3400, 250)):
        radius = np.exp(-np.pi * wide / RATE)
        excited = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], excited)
    sound = 0.1 * excited / np.sqrt(np.mean(excited**2)) + 1e-4 * random.standard_normal(len(excited))
    return torch.from_numpy(sound[None].astype(np.float32))


def test_a_creaking_voice_keeps_its_pulses() -> None:
    sound = creak(4.0)
    repaired = rendered(SOUND.build("declick"), sound, MONO)
    assert (repaired != sound).float().mean() < 2e-4
    damaged, touched = Crackle(8, 6, seed=3).apply(sound, RATE)
    repaired = rendered(SOUND.build("declick"), damaged, MONO)
    assert gain(repaired, damaged, sound) > 4
    assert (repaired != damaged)[0, touched].float().mean() > 0.7


def test_the_power_of_the_estimator_is_that_of_its_formula() -> None:
    value = np.logspace(-4, 2, 200)
    formula = value * np.exp(exp1(value))
    found = log_mmse_power(torch.from_numpy(value)).numpy()
    assert np.abs(10 * np.log10(found / formula)).max() < 0.006


def test_a_worn_voice_is_steadied() -> None:
    clean = talk(MONO, 4 * RATE)
    hoarse = Hoarseness(seed=1).apply(clean, RATE)
    repaired = rendered(SOUND.build("repair-voice", {"own_work": "made of sines by this test"}), hoarse, MONO)
    before, after = voice_quality(hoarse[0], RATE), voice_quality(repaired[0], RATE)
    assert before is not None
    assert after is not None
    assert after.hnr > before.hnr + 3
    assert after.jitter < before.jitter
    assert after.shimmer < before.shimmer


def test_altering_a_voice_needs_consent() -> None:
    with pytest.raises(ConsentError, match="consent"):
        SOUND.build("repair-voice").check(MONO)


def test_a_reference_leads_the_tone(tmp_path: Path) -> None:
    """A dulled voice is led back to its earlier tone, whatever the repair itself wears off."""
    clean = talk(MONO, 8 * RATE)
    hertz = torch.fft.rfftfreq(clean.shape[1], 1 / RATE)
    dull = torch.fft.irfft(torch.fft.rfft(clean) * (hertz.clamp(min=500) / 500) ** -0.5, clean.shape[1])
    write_wav(tmp_path / "early.wav", clean.numpy(), RATE)
    reference = {"reference": str(tmp_path / "early.wav"), "own_work": "made of sines by this test"}
    toned = rendered(SOUND.build("repair-voice", reference), dull, MONO)

    def bands(sound: torch.Tensor) -> torch.Tensor:
        meter = VoiceMeter(RATE)
        meter.add(sound[0], last=True)
        return torch.tensor(meter.spectrum())[BANDS.index(500) : BANDS.index(5040)]

    before, after = (float((bands(sound) - bands(clean)).abs().mean()) for sound in (dull, toned))
    assert before > 2.5
    assert after < 0.5 * before


def test_a_reference_counts_by_its_content(tmp_path: Path) -> None:
    first = write_wav(tmp_path / "first.wav", talk(MONO, 2 * RATE).numpy(), RATE)
    same = tmp_path / "same.wav"
    same.write_bytes(first.read_bytes())

    def facts(path: Path) -> dict[str, Any]:
        return SOUND.build("repair-voice", {"reference": str(path), "own_work": "made of sines"}).effective()

    known = facts(first)
    assert facts(same) == known
    write_wav(first, talk(MONO, 2 * RATE, seed=2).numpy(), RATE)
    assert facts(first) != known


def test_a_reference_without_voice_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import wave

    with wave.open(str(tmp_path / "quiet.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * RATE * 2))
    stage = SOUND.build("repair-voice", {"reference": str(tmp_path / "quiet.wav"), "own_work": "silence, made here"})
    with pytest.raises(OptionError, match="no voice"):  # before anything is rendered
        stage.check(MONO)
