"""Sound in and out: every codec and container we write, to the sample; what is broken is said."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import FilmSpec, Sound, av_offset, packets_of, write_film
from sounds import hear, lag, noise, write_wav

from restore.errors import FormatError, SourceError, SourceNotFoundError
from restore.frames import AudioFormat
from restore.media.options import OutputOptions
from restore.media.remux import RemuxPlan, remux, verify_track
from restore.media.sound import SoundReader, as_float, from_float, probe_sound
from restore.media.sound_codecs import sound_settings
from restore.media.sound_feed import SoundFeed


def carried(source: Path, output: Path, container: str, options: OutputOptions = OutputOptions()) -> SoundFeed:
    """The first track of a file through our own decoding and encoding, unchanged."""
    info = probe_sound(source)
    track = info.tracks[0]
    feed = SoundFeed(
        source, track.info.index, sound_settings(track, container, options), track.format.rate,
        track.start if info.has_picture else Fraction(0), lambda: SoundReader(source, track).blocks(),
    )  # fmt: skip
    remux(RemuxPlan(output, container, source, [track.info], [feed], info.metadata))
    reader = SoundReader(source, track)
    verify_track(output, 1, feed, sum(block.shape[1] for block in reader.blocks()))
    return feed


@pytest.mark.parametrize(
    "name, container, codec, exact",
    [
        ("a.wav", "wav", "pcm_s16le", True),
        ("a.flac", "flac", "flac", True),
        ("a.aiff", "aiff", "pcm_s16be", True),
        ("a.caf", "caf", "pcm_s16le", True),
        ("a.mka", "matroska", "pcm_s16le", True),
        ("a.mp3", "mp3", "mp3", False),
        ("a.m4a", "ipod", "aac", False),
        ("a.ogg", "ogg", "opus", False),
        ("a.opus", "opus", "opus", False),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_files(tmp_path: Path, name: str, container: str, codec: str, exact: bool, channels: int) -> None:
    """As long as the source, to the sample, and no later."""
    samples = noise(48000, 1.234, channels)
    source = write_wav(tmp_path / "source.wav", samples, 48000)
    carried(source, tmp_path / name, container)
    track, heard = hear(tmp_path / name)
    assert track.info.codec == codec
    assert heard.shape == samples.shape
    assert lag(samples[0], heard[0]) == 0
    if exact:
        assert np.array_equal(heard, hear(source)[1])
    else:
        assert np.corrcoef(heard[0], samples[0])[0, 1] > 0.98


@pytest.mark.parametrize("codec", ["aac", "mp3", "opus", "ac3", "eac3", "mp2", "flac", "alac", "pcm24"])
@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_tracks_of_films(tmp_path: Path, codec: str, container: str) -> None:
    samples = noise(48000, 0.777, 2)
    source = write_wav(tmp_path / "source.wav", samples, 48000)
    output = tmp_path / "out"
    carried(source, output, container, OutputOptions(audio_codec=codec))
    heard = hear(output)[1]
    assert lag(samples[0], heard[0]) == 0
    assert heard.shape[1] - samples.shape[1] in range(1536 if container == "mp4" or codec == "mp2" else 1)


@pytest.mark.parametrize(
    "rate, layout, codec, container",
    [
        (8000, "mono", "flac", "matroska"),
        (192000, "stereo", "pcm_s24le", "wav"),
        (96000, "5.1", "flac", "flac"),
        (48000, "7.1", "aac", "mp4"),
        (48000, "7.1", "libopus", "ogg"),
        (48000, "7.1", "pcm_s24le", "wav"),
        (44100, "stereo", "pcm_f32le", "wav"),
        (22050, "mono", "pcm_u8", "wav"),
    ],
)
def test_rates_and_layouts(tmp_path: Path, rate: int, layout: str, codec: str, container: str) -> None:
    source = tmp_path / "source"
    channels = av.AudioLayout(layout).nb_channels
    random = np.random.default_rng(0)
    with av.open(str(source), "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate)
        stream.codec_context.layout = layout
        form = stream.codec_context.format.name if stream.codec_context.format else "flt"
        frames = av.AudioResampler(form, layout, rate, stream.codec_context.frame_size or 4000)
        frame = av.AudioFrame.from_ndarray(
            (random.standard_normal((1, channels * rate // 2)) * 0.1).astype(np.float32), format="flt", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for part in (*frames.resample(frame), *frames.resample(None)):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    first, before = hear(source)
    assert (first.format.rate, first.format.channels, first.format.layout) == (rate, channels, layout)
    feed = carried(source, tmp_path / "out", container)
    second, after = hear(tmp_path / "out")
    assert second.info.codec == first.info.codec
    assert second.format == first.format
    assert after.shape[1] - before.shape[1] in range(1 if feed.settings.lossless or container == "ogg" else 1025)
    if feed.settings.lossless:
        assert np.array_equal(before, after)


def test_samples_survive() -> None:
    """Integers of every size, through float and back."""
    random = np.random.default_rng(0)
    for name, low, high, bits in (("u8", 0, 256, 8), ("s16", -(2**15), 2**15, 16), ("s16p", -(2**15), 2**15, 16)):
        shape = (2, 500) if name.endswith("p") else (1, 1000)
        stored = random.integers(low, high, shape).astype({"u8": np.uint8}.get(name, np.int16))
        assert np.array_equal(from_float(as_float(stored, name, 2), name, bits), stored)
    deep = (random.integers(-(2**23), 2**23, (1, 1000)) << 8).astype(np.int32)
    assert np.array_equal(from_float(as_float(deep, "s32", 1), "s32", 24), deep)
    loud = np.array([[1.5, -1.5, 1.0]], np.float32)
    assert from_float(loud, "s16", 16).tolist() == [[32767, -32768, 32767]]


def test_what_is_no_number_becomes_silence(tmp_path: Path) -> None:
    samples = noise(8000, 0.5)
    samples[0, 100:110], samples[0, 200] = np.nan, np.inf
    source = write_wav(tmp_path / "nan.wav", samples, 8000, "float")
    reader = SoundReader(source, probe_sound(source).tracks[0])
    heard = np.concatenate(list(reader.blocks()), 1)
    assert reader.not_finite == 11
    assert not heard[0, 100:110].any()
    assert np.array_equal(heard[0, 300:], samples[0, 300:])


def test_a_hole_is_filled_with_silence(tmp_path: Path) -> None:
    """What follows stays where the file's times say."""
    source = tmp_path / "hole.mka"
    samples = noise(8000, 3.0)
    with av.open(str(source), "w", format="matroska") as out:
        stream: Any = out.add_stream("pcm_s16le", rate=8000)
        stream.codec_context.layout = "mono"
        for place in range(0, samples.shape[1], 800):
            if 8000 <= place < 12000:
                continue
            block = from_float(samples[:, place : place + 800], "s16", 16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, place, Fraction(1, 8000)
            out.mux(stream.encode(frame))
    reader = SoundReader(source, probe_sound(source).tracks[0])
    heard = np.concatenate(list(reader.blocks()), 1)
    assert reader.holes == [(8000, 4000)]
    assert heard.shape == samples.shape
    assert not heard[0, 8000:12000].any()
    assert np.abs(heard[0, 12000:] - samples[0, 12000:]).max() < 1e-4


def test_pictures_are_copied(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.mp4", FilmSpec(rotation=90, sounds=[Sound(start=Fraction(1, 8))]))
    info = probe_sound(source)
    track = info.tracks[0]
    feed = SoundFeed(
        source, track.info.index, sound_settings(track, "mp4", OutputOptions()), track.format.rate, track.start,
        lambda: SoundReader(source, track).blocks(),
    )  # fmt: skip
    output = tmp_path / "out.mp4"
    remux(RemuxPlan(output, "mp4", source, info.streams, [feed], info.metadata, {"comment": "repaired"}))
    assert packets_of(output, "video") == packets_of(source, "video")
    assert abs(av_offset(output) - av_offset(source)) < 0.001


def test_a_file_says_how_channels_belong_together() -> None:
    assert AudioFormat(48000, "5.1", 6).groups == ((0, 1), (2,), (3,), (4, 5))
    assert AudioFormat(48000, "7.1", 8).groups == ((0, 1), (2,), (3,), (4, 5), (6, 7))
    assert AudioFormat(48000, "5.1", 6).low_channel == 3
    assert AudioFormat(48000, "mono", 1).groups == ((0,),)
    assert AudioFormat(48000, "3 channels", 3).groups == ((0,), (1,), (2,))


def test_own_codec_at_no_lower_rate(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.mp4", FilmSpec(sounds=[Sound()]))
    track = probe_sound(source).tracks[0]
    rich = replace(track, bit_rate=333_000)
    assert sound_settings(rich, "mp4", OutputOptions()).bit_rate == 333_000
    assert sound_settings(rich, "mp4", OutputOptions(audio_bitrate=64)).bit_rate == 64_000
    assert sound_settings(track, "matroska", OutputOptions(master=True)).encoder == "flac"
    assert sound_settings(track, "mp4", OutputOptions(master=True)).encoder == "alac"
    with pytest.raises(FormatError, match="unknown"):
        sound_settings(track, "mp4", OutputOptions(audio_codec="mp5"))
    with pytest.raises(FormatError, match="loses something"):
        sound_settings(track, "mp4", OutputOptions(master=True, audio_codec="aac"))


def test_a_codec_that_nobody_writes_becomes_lossless(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.mkv", FilmSpec(codec="ffv1", sounds=[Sound()]))
    track = probe_sound(source).tracks[0]
    dts = replace(track, info=replace(track.info, codec="dts"))
    settings = sound_settings(dts, "matroska", OutputOptions())
    assert settings.encoder == "flac"
    assert "no encoder for dts" in settings.note


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        probe_sound(tmp_path / "none.wav")
    with pytest.raises(SourceError, match="no sound"):
        probe_sound(write_film(tmp_path / "mute.mkv", FilmSpec(codec="ffv1")))
    (tmp_path / "text.wav").write_text("no sound at all" * 50)
    with pytest.raises(SourceError):
        probe_sound(tmp_path / "text.wav")
    with pytest.raises(SourceError, match="no sound of track 1"):
        probe_sound(write_wav(tmp_path / "empty.wav", np.zeros((1, 0)), 8000))
