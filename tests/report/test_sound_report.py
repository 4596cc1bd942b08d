"""The report on sound: what it measures is so, and its page holds what it says."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
from sounds import noise, write_wav

import restore
from restore import pages
from restore.errors import PlanError
from restore.frames import AudioFormat
from restore.recipe import Recipe
from restore.report.sound import sound_report
from restore.report.sound_measures import SoundMeter

RATE = 16000


def heard(samples: np.ndarray) -> dict:
    meter = SoundMeter(AudioFormat(RATE, "mono", 1), samples.shape[1])
    for place in range(0, samples.shape[1], RATE):
        meter.add(samples[:, place : place + RATE].astype(np.float32))
    return meter.finish().numbers()


def test_levels_and_loudness() -> None:
    time = np.arange(20 * RATE) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 1000 * time)[None]
    found = heard(tone)
    assert found["peak"] == pytest.approx(-20, abs=0.1)
    assert found["rms"] == pytest.approx(-23, abs=0.1)
    assert found["loudness"] == pytest.approx(-23, abs=0.1)
    assert found["clicks_a_minute"] == found["clipped_share"] == 0
    assert found["hum"] == []


def test_the_noise_floor_is_what_lies_between_words() -> None:
    random = np.random.default_rng(0)
    quiet = 0.001 * random.standard_normal(20 * RATE)
    loud = quiet + 0.2 * np.sin(2 * np.pi * 300 * np.arange(20 * RATE) / RATE) * (
        np.arange(20 * RATE) % RATE > RATE / 4
    )
    assert heard(loud[None])["noise_floor"] == pytest.approx(-60, abs=1)


def test_clicks_are_counted() -> None:
    samples = noise(RATE, 30).astype(np.float64)
    random = np.random.default_rng(1)
    places = np.arange(40) * 11000 + random.integers(0, 5000, 40)
    places = places[places < samples.shape[1]]
    samples[0, places] += 0.9
    assert heard(samples)["clicks_a_minute"] == pytest.approx(2 * len(places), abs=3)
    assert heard(noise(RATE, 30))["clicks_a_minute"] == 0


def test_hum_and_clipping_are_seen() -> None:
    time = np.arange(20 * RATE) / RATE
    hum = sum(0.02 / k * np.sin(2 * np.pi * 60 * k * time) for k in (1, 2, 3))
    samples = 0.02 * np.random.default_rng(0).standard_normal(20 * RATE) + hum
    assert [hertz for hertz, _ in heard(samples[None])["hum"]] == [60, 120, 180]
    clipped = np.clip(8 * noise(RATE, 20), -0.5, 0.5)
    top = np.abs(clipped[0]) == 0.5
    share = float((top[2:] & top[1:-1] & top[:-2]).mean())
    assert heard(clipped)["clipped_share"] == pytest.approx(share, rel=0.1)
    assert heard(noise(RATE, 20))["clipped_share"] == 0


def test_a_page_to_see_and_hear(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "talk <b>.wav", noise(RATE, 40, 2), RATE)
    output = tmp_path / "out.wav"
    restore.run(source, output, Recipe.of("loudness", target=-40))
    folder = tmp_path / "out.wav.restore"
    page = pages.report(folder)
    numbers = json.loads((folder / "plots/sound-1.json").read_text())
    assert numbers["after"]["loudness"] == pytest.approx(-40, abs=0.1)
    assert numbers["before"]["loudness"] > -30
    text = page.read_text()
    assert "track 1 from 0:00:" in text
    assert "LUFS before, -40.0 LUFS after" in text
    assert text.count("data:image/png") == 2
    sounds = [base64.b64decode(data) for data in re.findall(r"data:audio/flac;base64,([^\"']+)", text)]
    assert len(sounds) == 4
    lengths = []
    for sound in sounds:
        with av.open(io.BytesIO(sound)) as container:
            lengths.append(sum(frame.samples for frame in container.decode(audio=0)))
    assert set(lengths) == {4 * RATE}
    assert len(text) < 5e6
    for name in ("levels", "spectrogram"):
        assert (folder / f"plots/sound-1-{name}.png").read_bytes().startswith(b"\x89PNG")
    first = (folder / "plots/sound-1-levels.png").read_bytes()
    pages.report(folder)
    assert (folder / "plots/sound-1-levels.png").read_bytes() == first


def test_a_very_short_or_silent_track(tmp_path: Path) -> None:
    for name, samples in (("short", noise(RATE, 0.01)), ("silent", np.zeros((1, 3 * RATE)))):
        source = write_wav(tmp_path / f"{name}.wav", samples, RATE)
        restore.run(source, tmp_path / f"{name}_out.wav", Recipe.of("loudness"))
        assert "nothing to see" not in pages.report(tmp_path / f"{name}_out.wav.restore").read_text()


def test_a_job_without_sound(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="not repaired any sound"):
        sound_report(tmp_path)
