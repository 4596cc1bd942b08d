"""Odd and bad sound through the real `restore voice`, every step switched on: handled, or refused in one clear line."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from films import FilmSpec, Sound, packets_of, write_film
from sounds import hear, lag, noise, write_wav

from restore.cli.main import main

EVERYTHING = [
    "--dewow",
    "--dereverb",
    "--repair-voice",
    "--bandwidth",
    "--test-material",
    "made by this test",
    "--quiet",
]

Repair = Callable[..., Path]


@pytest.fixture
def repaired(tmp_path: Path) -> Repair:
    """Run the whole chain; returns the output."""

    def run(source: Path, *options: str) -> Path:
        output = tmp_path / f"out{source.suffix}"
        assert main(["voice", str(source), str(output), "--no-report", *EVERYTHING, *options]) == 0
        return output

    return run


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the whole chain, which must fail with one line; returns it."""

    def run(source: Path, *options: str) -> str:
        output = tmp_path / "out.wav"
        assert main(["voice", str(source), str(output), *EVERYTHING, *options]) in (1, 2)
        said = capfd.readouterr().err
        assert said.startswith("restore: ")
        assert said.count("\n") == 1
        assert "internal error" not in said
        assert not output.exists()
        return said

    return run


def write_24_bit(path: Path, samples: np.ndarray, rate: int) -> Path:
    """(channels, n) float samples as 24-bit WAV."""
    stored = np.rint(samples.T * (2**23 - 1)).astype("<i4")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[0])
        file.setsampwidth(3)
        file.setframerate(rate)
        file.writeframes(stored.reshape(-1, 1).view(np.uint8)[:, :3].tobytes())
    return path


def test_no_sound(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "no sound" in refused(write_film(tmp_path / "mute.mkv", FilmSpec(codec="ffv1")))


def test_silence(tmp_path: Path, repaired: Repair) -> None:
    source = write_wav(tmp_path / "silence.wav", np.zeros((2, 40000)), 16000)
    assert not hear(repaired(source, "--loudness"))[1].any()


@pytest.mark.parametrize(("rate", "seconds"), [(8000, 2.0), (192000, 0.3)])
def test_rates(tmp_path: Path, repaired: Repair, rate: int, seconds: float) -> None:
    source = write_wav(tmp_path / "odd.wav", noise(rate, seconds), rate)
    track, heard = hear(repaired(source))
    assert track.format.rate == rate
    assert heard.shape == hear(source)[1].shape
    assert lag(hear(source)[1][0], heard[0]) == 0


def test_24_bit(tmp_path: Path, repaired: Repair) -> None:
    source = write_24_bit(tmp_path / "deep.wav", noise(16000, 1.0), 16000)
    track, heard = hear(repaired(source))
    assert track.format.sample == "s24"
    assert heard.shape == (1, 16000)
    assert np.abs(heard * 2**15 - np.rint(heard * 2**15)).max() > 0.01  # finer than 16 bits


def test_eight_channels(tmp_path: Path, repaired: Repair) -> None:
    sounds = [Sound("flac", layout="7.1", rate=8000, seconds=1.0)]
    source = write_film(tmp_path / "round.mkv", FilmSpec(codec="ffv1", sounds=sounds))
    track, heard = hear(repaired(source))
    assert track.format.layout == "7.1"
    assert heard.shape == hear(source)[1].shape


def test_what_is_no_number(tmp_path: Path, repaired: Repair) -> None:
    samples = noise(16000, 1.0)
    samples[0, 500:520], samples[0, 9000] = np.nan, np.inf
    heard = hear(repaired(write_wav(tmp_path / "nan.wav", samples, 16000, "float")))[1]
    assert heard.shape == samples.shape
    assert np.isfinite(heard).all()


def test_ten_milliseconds(tmp_path: Path, repaired: Repair) -> None:
    source = write_wav(tmp_path / "short.wav", noise(48000, 0.01), 48000)
    assert hear(repaired(source, "--loudness"))[1].shape == (1, 480)


def test_a_track_shorter_than_the_picture(tmp_path: Path, repaired: Repair) -> None:
    source = write_film(tmp_path / "film.mkv", FilmSpec(frames=50, sounds=[Sound("pcm_s16le", seconds=0.3)]))
    output = repaired(source)
    assert hear(output)[1].shape == hear(source)[1].shape
    assert packets_of(output, "video") == packets_of(source, "video")


@pytest.mark.parametrize("kind", ["silent", "noise", "short", "mute", "none"])
def test_a_reference_without_voice(tmp_path: Path, refused: Callable[..., str], kind: str) -> None:
    source = write_wav(tmp_path / "talk.wav", noise(16000, 1.0), 16000)
    reference = tmp_path / f"{kind}.wav"
    if kind == "silent":
        write_wav(reference, np.zeros((1, 32000)), 16000)
    elif kind == "noise":
        write_wav(reference, noise(16000, 3.0, seed=4), 16000)
    elif kind == "short":
        write_wav(reference, noise(16000, 0.01), 16000)
    elif kind == "mute":
        reference = write_film(tmp_path / "mute.mkv", FilmSpec(codec="ffv1"))
    said = refused(source, "--reference", str(reference))
    assert reference.name in said
    assert {"mute": "no sound", "none": "cannot be read"}.get(kind, "no voice was found") in said
