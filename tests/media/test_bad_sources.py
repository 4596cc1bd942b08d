"""Sources that cannot be restored: one clear line each. And odd ones that can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from films import Sound, decode

from restore import api
from restore.errors import OptionError, OutputExistsError, RestoreError, SourceError, SourceNotFoundError
from restore.media.options import InputOptions, OutputOptions
from restore.media.source import VideoSource
from restore.recipe import Recipe

MakeFilm = Callable[..., Path]
RESIZE = Recipe.of("upscale", scale=2, strength=0)


def refusal(source: Path, kind: type[RestoreError] = SourceError) -> str:
    output = source.parent / "never.mkv"
    with pytest.raises(kind) as caught:
        api.run(source, output, RESIZE)
    text = str(caught.value)
    assert "\n" not in text
    assert source.name in text
    assert not output.exists()
    assert not output.with_name("never.mkv.part").exists()
    return text


def test_missing_empty_folder_text_and_noise(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "gone.mp4", SourceNotFoundError)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert "empty (0 bytes)" in refusal(empty)
    text = tmp_path / "letter.mp4"
    text.write_text("Dear archive,\n" * 200)
    assert "not a film or picture that FFmpeg can read" in refusal(text)
    noise = tmp_path / "noise.mkv"
    noise.write_bytes(bytes(range(256)) * 64)
    assert "not a film" in refusal(noise)
    folder = tmp_path / "folder.mkv"
    folder.mkdir()
    refusal(folder, RestoreError)  # an empty folder of pictures


def test_a_film_without_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "has no video stream to restore" in refusal(path)


def test_a_film_without_its_index_is_refused(make_film: MakeFilm) -> None:
    """A truncated MP4 whose index stood at the end."""
    source = make_film("reel.mp4", frames=40)
    source.write_bytes(source.read_bytes()[:2000])
    assert "not a film or picture that FFmpeg can read" in refusal(source)


def test_a_film_of_which_nothing_decodes(make_film: MakeFilm) -> None:
    source = make_film("reel.mkv", frames=3, codec="libx264")
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                place = data.find(bytes(packet))
                data[place : place + packet.size] = bytes(packet.size)
    source.write_bytes(data)
    text = refusal(source)
    assert "can be decoded" in text


def test_an_unreadable_time_or_rate(make_film: MakeFilm) -> None:
    source = make_film("reel.mp4")
    with pytest.raises(OptionError, match="--fps is for sequences"):
        api.probe(source, InputOptions(fps="24"))
    with pytest.raises(OutputExistsError, match="never written to"):
        api.run(source, source, RESIZE)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (17, 9), (63, 47), (640, 2)])
@pytest.mark.parametrize("suffix, codec", [(".mp4", None), (".mkv", "ffv1"), (".mkv", "x265")])
def test_tiny_and_odd_sizes(make_film: MakeFilm, size: tuple[int, int], suffix: str, codec: str | None) -> None:
    """Whatever an encoder can hold comes out; what it cannot is refused with an alternative."""
    source = make_film("reel.mkv", codec="ffv1", pix_fmt="yuv444p", size=size, frames=2)
    output = source.with_name(f"out{suffix}")
    for recipe, factor in ((Recipe(()), 1), (RESIZE, 2)):
        asked = replace(recipe, output=OutputOptions(codec=codec))
        if codec == "x265" and min(size) * factor < 32:
            with pytest.raises(RestoreError, match="try --codec ffv1"):
                api.run(source, output, asked)
            continue
        found = api.run(source, output, asked, overwrite=True)
        assert found.frames == 2
        shown = decode(output)
        assert len(shown) == 2
        assert shown[0].planes[0].shape == (size[1] * factor, size[0] * factor)


def test_an_interlaced_film_needs_deinterlacing_first(make_film: MakeFilm) -> None:
    source = make_film("reel.mkv", codec="libx264", options={"x264-params": "tff=1"}, frames=4)
    with av.open(str(source)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    info = api.probe(source)
    assert info.interlaced
    assert "is interlaced (tff)" in refusal(source)
    api.run(source, source.with_name("out.mkv"), replace(RESIZE, input=InputOptions(progressive=True)))


def test_a_film_without_times(make_film: MakeFilm) -> None:
    """An elementary stream says no times: frames get those of its rate, and none is lost."""
    source = make_film("reel.m2v", codec="mpeg2video", frames=9, fps=Fraction(25))
    with VideoSource(source) as film:
        times = [frame.pts * film.format.time_base for frame in film.frames()]
    assert len(times) == 9
    steps = {later - now for now, later in zip(times, times[1:], strict=False)}
    assert steps == {Fraction(1, 25)}


def test_reading_from_anywhere_gives_the_same_frames(make_film: MakeFilm) -> None:
    """Seeking, for every codec and container: from any frame on, the pictures of a reading from the beginning."""
    for name, codec in (("a.mkv", "libx264"), ("a.mp4", "libx265"), ("a.ts", "mpeg2video"), ("b.mp4", "libx264")):
        source = make_film(name, codec=codec, frames=40, gop=6)
        with VideoSource(source, threads=1) as film:
            frames = list(film.frames())
            film.use_index([frame.pts for frame in frames if frame.key], True)
            for start in (0, 5, 6, 7, 19, 25, 39):
                again = list(film.frames(frames[start].pts))
                assert [f.pts for f in again] == [f.pts for f in frames[start:]], (name, start)
                for one, other in zip(again, frames[start:], strict=True):
                    assert all((a == b).all() for a, b in zip(one.planes, other.planes, strict=True)), (name, start)


def test_probe_counts_what_it_says(make_film: MakeFilm) -> None:
    source = make_film(
        "reel.mov", codec="prores_ks", pix_fmt="yuv422p10le", frames=7, fps=Fraction(24000, 1001),
        sounds=[Sound("pcm_s24le", rate=44100, layout="stereo")], sample_aspect=Fraction(4, 3), timecode="01:02:03:04",
    )  # fmt: skip
    info = api.probe(source)
    assert (info.codec, info.frame_count, info.format.frame_rate) == ("prores", 7, Fraction(24000, 1001))
    assert (info.format.pixel.name, info.format.sample_aspect) == ("yuv422p10le", Fraction(4, 3))
    assert info.timecode == "01:02:03:04"
    assert [stream.kind for stream in info.streams if stream.codec != "tmcd"] == ["audio"]
    assert info.streams[0].details["sample_rate"] == 44100
    assert info.duration is not None
