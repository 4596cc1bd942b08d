"""Sound jobs: pictures copied, plan and edits, stopping and going on, recipes of both kinds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import FilmSpec, Sound, av_offset, click_time, packets_of, write_film
from sounds import hear, lag, noise, write_wav

import restore
from restore.cli.main import main
from restore.errors import CancelledError, FormatError, OptionError, OutputExistsError, PlanError, SourceError
from restore.media.probe import probe_file
from restore.pipeline.runner import JobResult
from restore.recipe import Recipe

RATE = 8000
GAIN = Recipe.of("loudness", target=-30)


def long_wav(path: Path, seconds: float = 150.0) -> Path:
    """More than two segments (of 65.5 s at this rate)."""
    return write_wav(path, noise(RATE, seconds), RATE)


def pieces(folder: Path) -> dict[str, int]:
    """The rendered pieces of a job, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "sound").iterdir()}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    sounds = [
        Sound("aac", layout="stereo", language="eng", title="Dialogue"),
        Sound("ac3", layout="stereo", start=Fraction(1, 10), language="deu"),
    ]
    chapters = [(0, 0.2, "one"), (0.2, 0.48, "two")]
    tags = {"title": "A reel", "comment": "scanned twice"}
    return write_film(tmp_path / "film.mp4", FilmSpec(sounds=sounds, chapters=chapters, metadata=tags))


def test_a_film_keeps_all_else(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    result = restore.run(film, output, GAIN)
    assert not result.unchanged
    assert packets_of(output, "video") == packets_of(film, "video")
    before, after = probe_file(film), probe_file(output)
    assert after.chapters == before.chapters == 2
    assert after.metadata["title"] == "A reel"
    assert after.metadata["comment"] == f"scanned twice; Restored with restore {restore.__version__}: loudness"
    for number in (0, 1):
        assert abs(av_offset(output, number) - av_offset(film, number)) < 0.001
        assert abs(click_time(output, number) - click_time(film, number)) < 0.001
        first, second = hear(film, number + 1), hear(output, number + 1)
        assert (first[0].info.codec, first[0].info.language) == (second[0].info.codec, second[0].info.language)
        assert second[0].bit_rate is not None
    assert restore.run(film, output, GAIN).unchanged


def test_only_the_tracks_asked_for(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    restore.run(film, output, Recipe.from_dict({"stage": [{"name": "loudness"}], "input": {"tracks": [2]}}))
    assert [p[2] for p in packets_of(output, "audio", 0)] == [p[2] for p in packets_of(film, "audio", 0)]
    assert [p[2] for p in packets_of(output, "audio", 1)] != [p[2] for p in packets_of(film, "audio", 1)]
    with pytest.raises(OptionError, match="has 2 sound tracks"):
        restore.run(film, output, Recipe.from_dict({"stage": [{"name": "loudness"}], "input": {"tracks": [3]}}))


def test_a_recipe_repairs_both(film: Path, tmp_path: Path) -> None:
    """Picture and sound stages in one recipe, in any order."""
    recipe = Recipe.from_dict({"stage": [{"name": "loudness", "target": -35}, {"name": "deflicker"}]})
    output = tmp_path / "out.mp4"
    result = restore.run(film, output, recipe)
    assert result.frames == 12
    for number in (0, 1):
        assert abs(av_offset(output, number) - av_offset(film, number)) < 0.001
    quiet, loud = hear(output)[1], hear(film)[1]
    assert np.abs(quiet).mean() < 0.5 * np.abs(loud).mean()
    assert "deflicker; loudness" in probe_file(output).metadata["comment"]
    assert restore.run(film, output, recipe).unchanged
    changed = recipe.with_values({"loudness.target": -25})
    again = restore.run(film, output, changed)
    assert (again.rendered, again.unchanged) == (0, False), "the pictures are not rendered again for the sound's sake"


def test_a_part_of_a_film_with_both(film: Path, tmp_path: Path) -> None:
    recipe = Recipe.from_dict({"stage": [{"name": "loudness", "target": -35}, {"name": "deflicker"}]})
    output = tmp_path / "part.mkv"
    restore.run(film, output, recipe, start="5f", end="9f")
    track, samples = hear(output)
    assert abs(samples.shape[1] / track.format.rate - 0.16) < 0.03
    assert abs(click_time(output) - (click_time(film) - 0.2)) < 0.002


def test_sound_taken_from_a_film(film: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--tracks 1"):
        restore.run(film, tmp_path / "out.wav", GAIN)
    recipe = Recipe.from_dict({"stage": [{"name": "loudness"}], "input": {"tracks": [1]}})
    restore.run(film, tmp_path / "out.wav", recipe, start="0.1", end="0.3")
    assert hear(tmp_path / "out.wav")[1].shape == (2, 9600)
    with pytest.raises(OptionError, match="cannot cut a film"):
        restore.run(film, tmp_path / "out.mp4", recipe, start="0.1")


def test_what_is_found_can_be_read(tmp_path: Path) -> None:
    source = long_wav(tmp_path / "talk.wav", 10)
    restore.run(source, tmp_path / "out.wav", GAIN)
    plan = json.loads((tmp_path / "out.wav.restore/plan/sound-1.json").read_text())
    assert plan["track"]["samples"] == 10 * RATE
    found = plan["stages"]["1-loudness"]["values"]["loudness"]
    gain = 10 ** ((-30 - found) / 20)
    before, after = hear(source)[1], hear(tmp_path / "out.wav")[1]
    assert np.abs(after - gain * before).max() < 2e-5


def test_an_edit_renders_what_it_touches(tmp_path: Path) -> None:
    source, output = long_wav(tmp_path / "talk.wav"), tmp_path / "out.wav"
    restore.run(source, output, GAIN)
    first, kept = hear(output)[1], pieces(tmp_path / "out.wav.restore")
    assert len(kept) == 3
    edits = {"changes": [{"from": "1:10", "to": "1:12.5", "stage": "loudness", "set": {"strength": 0}}]}
    (tmp_path / "out.wav.restore/edits.json").write_text(json.dumps(edits))
    result = restore.run(source, output, GAIN)
    assert 60 < result.rendered < 70, "one segment of three"
    after = pieces(tmp_path / "out.wav.restore")
    assert len(kept.items() & after.items()) == 2
    second, original = hear(output)[1], hear(source)[1]
    inside = slice(round(70.02 * RATE), round(72.48 * RATE))
    assert np.array_equal(second[:, inside], original[:, inside])
    assert np.array_equal(second[:, : round(69.9 * RATE)], first[:, : round(69.9 * RATE)])
    assert np.array_equal(second[:, round(72.6 * RATE) :], first[:, round(72.6 * RATE) :])


@pytest.mark.parametrize(
    "change, said",
    [
        ({"stage": "dedust", "set": {"strength": 0}}, "no stage 'dedust'"),
        ({"stage": "loudness", "set": {"loudnes": 0}}, "has no loudnes to set"),
        ({"stage": "loudness", "set": {"strength": 2}}, "less than or equal to 1"),
        ({"stage": "loudness", "set": {"strength": 0}, "to": "0.5"}, "is not after"),
    ],
)
def test_an_edit_that_cannot_be(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    source, output = long_wav(tmp_path / "talk.wav", 3), tmp_path / "out.wav"
    (tmp_path / "out.wav.restore").mkdir()
    edits = {"changes": [{"from": "1", "to": "2", **change}]}
    (tmp_path / "out.wav.restore/edits.json").write_text(json.dumps(edits))
    with pytest.raises(PlanError, match=said):
        restore.run(source, output, GAIN)


def run_until(source: Path, output: Path, chunks: int) -> JobResult | None:
    """A run that is stopped after so many looks whether it should stop."""
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        return looks > chunks

    try:
        return restore.run(source, output, GAIN, cancel=stop)
    except CancelledError:
        return None


def test_stopped_and_gone_on(tmp_path: Path) -> None:
    source = long_wav(tmp_path / "talk.wav")
    restore.run(source, tmp_path / "whole.wav", GAIN)
    output, runs = tmp_path / "out.wav", 0
    while run_until(source, output, 15 * 2**runs) is None:
        assert not output.exists()
        runs += 1
        assert runs < 9
    assert runs > 1
    assert output.read_bytes() == (tmp_path / "whole.wav").read_bytes()


def test_killed_and_gone_on(tmp_path: Path) -> None:
    source, output = long_wav(tmp_path / "talk.wav", 400), tmp_path / "out.flac"
    command = [sys.executable, "-m", "restore", "run", str(source), str(output), "-q", "--no-report", "loudness"]
    running = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob("out.flac.restore/sound/*.f32")) and running.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not output.exists()
    left = pieces(tmp_path / "out.flac.restore")
    subprocess.run(command, check=True)
    whole = {name: when for name, when in left.items() if name.endswith(".f32")}
    assert whole.items() <= pieces(tmp_path / "out.flac.restore").items()
    assert not list((tmp_path / "out.flac.restore/sound").glob("*.part"))
    assert hear(output)[1].shape == (1, 400 * RATE)


def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    source, output = long_wav(tmp_path / "talk.wav", 3), tmp_path / "out.wav"
    output.write_text("mine")
    with pytest.raises(OutputExistsError):
        restore.run(source, output, GAIN)
    with pytest.raises(OutputExistsError, match="never written to"):
        restore.run(source, source, GAIN)
    restore.run(source, output, GAIN, overwrite=True)
    with pytest.raises(FormatError, match="cannot tell a container"):
        restore.run(source, tmp_path / "out.xyz", GAIN)


def test_sound_alone_needs_some(tmp_path: Path, film: Path) -> None:
    with pytest.raises(FormatError, match="cannot tell a container"):
        restore.run(film, tmp_path / "out_%04d.png", GAIN)
    with pytest.raises(SourceError, match="no sound to repair"):
        restore.run(write_film(tmp_path / "mute.mp4", FilmSpec()), tmp_path / "out.mp4", GAIN)


def test_a_recipe_for_both_goes_through_mute_films(tmp_path: Path, film: Path) -> None:
    recipe = Recipe.from_dict({"stage": [{"name": "loudness"}, {"name": "deflicker"}]})
    made = restore.run(film, tmp_path / "out_%04d.png", recipe)
    assert made.frames == 12
    assert made.notes == ("pictures hold no sound: only the picture is restored",)
    mute = write_film(tmp_path / "mute.mp4", FilmSpec())
    for source, output in ((mute, "out.mp4"), (film, "one.mp4"), (tmp_path / "out_%04d.png", "again.mkv")):
        pictures = {"fps": "25"} if output == "again.mkv" else {}
        left_out = {"skip_streams": [1, 2]} if source == film else {}
        both = {**recipe.as_dict(), "input": pictures, "output": left_out}
        made = restore.run(source, tmp_path / output, Recipe.from_dict(both))
        assert made.frames == 12
        assert "only the picture is restored" in made.notes[-1]
        assert not any(stream.kind == "audio" for stream in probe_file(tmp_path / output).streams)


@pytest.mark.parametrize("line", [["--no-sound"], ["--strength", "0"], []])
def test_restore_film_repairs_sound_too(tmp_path: Path, film: Path, line: list[str]) -> None:
    output = tmp_path / "out.mp4"
    assert main(["film", str(film), str(output), "--only", "dehiss", "--only", "deflicker", "--quiet", *line]) == 0
    tracks = [[packet[2] for packet in packets_of(path, "audio", 0)] for path in (film, output)]
    assert (tracks[0] == tracks[1]) == bool(line)
    for number in (0, 1):
        assert abs(av_offset(output, number) - av_offset(film, number)) < 0.001


@pytest.mark.parametrize(
    "rate, length, channels, kind",
    [(48000, 480, 1, "s16"), (8000, 1, 1, "s16"), (192000, 200000, 2, "s32"), (48000, 100000, 8, "float")],
)
def test_odd_sound(tmp_path: Path, rate: int, length: int, channels: int, kind: str) -> None:
    samples = noise(rate, length / rate, channels)
    if kind == "float":
        samples[0, 5:20] = np.nan
    source, output = write_wav(tmp_path / "odd.wav", samples, rate, kind), tmp_path / "out.wav"
    result = restore.run(source, output, GAIN)
    track, heard = hear(output)
    assert heard.shape == samples.shape
    assert np.isfinite(heard).all()
    assert (track.format.rate, track.format.sample) == (rate, {"s16": "s16", "s32": "s32", "float": "flt"}[kind])
    assert len(result.notes) == (kind == "float")


def test_silence_stays(tmp_path: Path) -> None:
    source, output = write_wav(tmp_path / "silence.wav", np.zeros((2, 20000)), RATE), tmp_path / "out.wav"
    restore.run(source, output, GAIN)
    assert not hear(output)[1].any()


def test_a_track_shorter_than_the_picture(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.mkv", FilmSpec(frames=50, sounds=[Sound("pcm_s16le", seconds=0.3)]))
    output = tmp_path / "out.mkv"
    restore.run(source, output, GAIN)
    assert hear(output)[1].shape == hear(source)[1].shape
    assert packets_of(output, "video") == packets_of(source, "video")
    assert lag(hear(source)[1][0], hear(output)[1][0]) == 0
