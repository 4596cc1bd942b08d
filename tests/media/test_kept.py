"""What a film holds besides its pictures comes through: sound to the byte and in time, titles, chapters, metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import Sound, av_offset, decode, heard, packets_of

from restore import api
from restore.errors import FormatError
from restore.frames import PixelFormat
from restore.media.options import InputOptions, OutputOptions
from restore.media.picture_files import SRGB
from restore.media.pictures import write_picture
from restore.media.probe import hdr_metadata
from restore.recipe import Recipe

MakeFilm = Callable[..., Path]
RESIZE = Recipe.of("upscale", scale=2, strength=0)
LATE = [n + 5 for n in range(12)]


def restored(source: Path, suffix: str, **output: Any) -> Path:
    result = source.parent / f"restored{suffix}"
    found = api.run(source, result, replace(RESIZE, output=OutputOptions(**output)))
    assert found.damaged == ()
    return result


def base_of(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        base = container.streams.video[0].time_base
    assert base is not None
    return base


def check_times(source: Path, result: Path) -> None:
    """Same number of pictures; each time rounded once; a whole film moved by no frame against another."""
    before, after = [s.time for s in decode(source)], [s.time for s in decode(result)]
    assert len(before) == len(after)
    moved = after[0] - before[0]
    base = base_of(result)
    exact = (1 / base) % (1 / base_of(source)) == 0
    for old, new in zip(before, after, strict=True):
        assert abs(new - old - moved) <= (0 if exact else base)


# --- sound and sync --------------------------------------------------------------------------------------------------

PAIRS = [(".mp4", ".mp4"), (".mp4", ".mkv"), (".mkv", ".mp4"), (".mkv", ".mkv"), (".mov", ".mov")]
CODECS = {
    ".mp4": ("aac", "libopus", "libmp3lame", "flac", "ac3"),
    ".mkv": ("aac", "libopus", "libmp3lame", "flac", "pcm_s16le"),
    ".mov": ("aac", "pcm_s16be", "pcm_s24le"),
}


@pytest.mark.parametrize("before, after", PAIRS)
@pytest.mark.parametrize("start", ["together", "late picture", "late sound"])
def test_sound_keeps_its_bytes_and_its_place(make_film: MakeFilm, before: str, after: str, start: str) -> None:
    """A click and the first picture: the time between them, measured on decoded sound, moves by less than 1 ms."""
    late = Fraction(1, 10) if start == "late sound" else Fraction(0)
    sounds = [Sound(codec, start=late, layout="stereo" if n else "mono") for n, codec in enumerate(CODECS[before])]
    pts = LATE if start == "late picture" else None
    source = make_film(f"reel{before}", sounds=sounds, pts=pts)
    result = restored(source, after)
    check_times(source, result)
    for number, sound in enumerate(sounds):
        old, new = packets_of(source, "audio", number), packets_of(result, "audio", number)
        if sound.codec.startswith("pcm"):  # demuxers cut PCM into packets as they please
            assert b"".join(data for *_, data in old) == b"".join(data for *_, data in new)
        else:
            assert [data for *_, data in old] == [data for *_, data in new]
            moved = new[0][0] - old[0][0]
            assert all(abs(b[0] - a[0] - moved) <= Fraction(1, 1000) for a, b in zip(old, new, strict=True))
        assert abs(av_offset(result, number) - av_offset(source, number)) < 0.001, sound.codec


def test_lossless_sound_is_heard_from_the_same_sample(make_film: MakeFilm) -> None:
    source = make_film("reel.mkv", sounds=[Sound("flac", start=Fraction(3, 100))])
    for suffix in (".mp4", ".mkv"):
        result = restored(source, suffix)
        assert heard(result)[0] == heard(source)[0]
        assert np.array_equal(heard(result)[2], heard(source)[2])


def test_a_picture_that_starts_before_the_zero_of_the_clock(make_film: MakeFilm) -> None:
    """--start of a film whose sound begins earlier: the cut sound lies before the picture, in time."""
    source = make_film("reel.mp4", frames=30, sounds=[Sound("aac", seconds=1.4, click=0.9)])
    for suffix in (".mp4", ".mkv"):
        result = source.parent / f"part{suffix}"
        api.run(source, result, RESIZE, start="0.4", end="1.1")
        assert len(decode(result)) == 17
        assert av_offset(result) == pytest.approx(0.5, abs=0.0011)


def test_a_title_that_is_up_when_the_part_begins(make_film: MakeFilm) -> None:
    source = make_film("reel.mkv", frames=30, subtitles=[("eng", 0.1, 0.9, "Up"), ("eng", 0.0, 0.2, "Gone")])
    result = source.parent / "part.mkv"
    api.run(source, result, RESIZE, start="0.4")
    assert decode(result)[0].time == 0
    assert packets_of(result, "subtitle") == [(0, 0, b"Up")]
    assert packets_of(result, "subtitle", 1) == []
    with av.open(str(result)) as container:
        assert next(p for p in container.demux(subtitles=0) if p.size).duration == 600


# --- everything else -------------------------------------------------------------------------------------------------


def everything(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as container:
        streams = [
            (s.type, s.codec_context.codec.canonical_name if s.codec_context and s.type != "video" else "",
             s.metadata.get("language"), s.metadata.get("title"), int(s.disposition))
            for s in container.streams if s.type != "data"
        ]  # fmt: skip
        chapters = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"].get("title"))
            for c in container.chapters()
        ]
        tags = {key.lower(): value for key, value in container.metadata.items()}
        video = container.streams.video[0]
        frame = next(container.decode(video))
        return {
            "streams": streams, "chapters": chapters, "tags": tags, "rotation": frame.rotation,
            "timecode": {k.lower(): v for k, v in video.metadata.items()}.get("timecode"),
            "aspect": video.sample_aspect_ratio,
            "attachments": [(s.name, s.mimetype, s.data) for s in container.streams if s.type == "attachment"],
        }  # fmt: skip


def test_a_matroska_film_comes_through_whole(make_film: MakeFilm) -> None:
    source = make_film(
        "reel.mkv",
        sounds=[
            Sound("flac", language="eng", title="Main", disposition=1),
            Sound("aac", language="fre", title="Commentary", disposition=8),
        ],
        subtitles=[("ger", 0.1, 0.2, "Guten Tag"), ("eng", 0.12, 0.25, "Good day")],
        chapters=[(0, 0.2, "Eins"), (0.2, 0.48, "Zwei")],
        attachments=[("font.ttf", "font/ttf", b"\0\1fontdata"), ("notes.txt", "text/plain", b"found in a barn")],
        metadata={"title": "Reel 4", "comment": "can 12", "archive_id": "X-17"},
        video_metadata={"language": "ger", "title": "Bild"},
        sample_aspect=Fraction(16, 15), timecode="01:00:00:00", rotation=90,
    )  # fmt: skip
    result = restored(source, ".mkv")
    old, new = everything(source), everything(result)
    for kept in ("streams", "chapters", "rotation", "timecode", "aspect", "attachments"):
        assert new[kept] == old[kept], kept
    assert new["rotation"] == 90
    assert new["timecode"] == "01:00:00:00"
    assert len(new["attachments"]) == 2
    assert new["tags"]["title"] == "Reel 4"
    assert new["tags"]["archive_id"] == "X-17"
    assert new["tags"]["comment"].startswith("can 12; Restored with restore")
    for number in range(2):
        assert packets_of(result, "subtitle", number) == packets_of(source, "subtitle", number)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_quicktime_film_comes_through_whole(make_film: MakeFilm, suffix: str) -> None:
    source = make_film(
        f"reel{suffix}",
        sounds=[Sound("aac", language="eng", disposition=1), Sound("aac", language="fre")],
        subtitles=[("eng", 0.1, 0.2, "Good day")],
        chapters=[(0, 0.2, "One"), (0.2, 0.48, "Two")],
        metadata={"title": "Reel 4", "comment": "can 12"},
        sample_aspect=Fraction(16, 15), timecode="10:00:00:00", rotation=270,
    )  # fmt: skip
    result = restored(source, suffix)
    old, new = everything(source), everything(result)
    for kept in ("streams", "chapters", "rotation", "timecode", "aspect"):
        assert new[kept] == old[kept], kept
    assert new["timecode"] == "10:00:00:00"
    assert packets_of(result, "subtitle") == packets_of(source, "subtitle")
    with av.open(str(result)) as container:
        tracks = [s for s in container.streams if s.type == "data" and "timecode" in s.metadata]
        assert len(tracks) == 1


def test_archive_tags_survive_in_mp4(make_film: MakeFilm) -> None:
    """Keys that MP4 has no box for are written as QuickTime metadata."""
    source = make_film("reel.mkv", metadata={"title": "Reel 4", "archive_id": "X-17"})
    tags = everything(restored(source, ".mp4"))["tags"]
    assert tags["archive_id"] == "X-17"
    assert tags["title"] == "Reel 4"


@pytest.mark.parametrize("suffix, codec", [(".mp4", None), (".mkv", "x264"), (".mov", None)])
def test_variable_rate_keeps_every_time(make_film: MakeFilm, suffix: str, codec: str | None) -> None:
    pts = [0, 33, 66, 500, 501, 502, 900, 1400, 1433, 1466, 2000, 2040]
    source = make_film("reel.mkv", codec="libx264", time_base=Fraction(1, 1000), pts=pts)
    result = restored(source, suffix, codec=codec)
    assert [s.time for s in decode(result)] == [Fraction(p, 1000) for p in pts]


HDR = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.mark.parametrize("codec, suffix", [("x265", ".mp4"), ("x265", ".mkv"), ("x264", ".mkv"), ("av1", ".mkv")])
def test_hdr_metadata_is_written_again(make_film: MakeFilm, codec: str, suffix: str) -> None:
    source = make_film(
        "reel.mkv", codec="libx265", pix_fmt="yuv420p10le", tags=(9, 16, 9, 1), frames=3,
        options={"x265-params": f"master-display={HDR}:max-cll=1000,400:hdr10=1"},
    )  # fmt: skip
    info = api.probe(source)
    assert info.mastering_display == HDR
    assert info.content_light == "1000,400"
    result = restored(source, suffix, codec=codec)
    with av.open(str(result)) as container:
        mastering, light = hdr_metadata(next(container.decode(video=0)))
    assert light == "1000,400"
    assert mastering is not None
    numbers = [int(n) for n in mastering.replace("(", ",").replace(")", ",").split(",") if n.isdigit()]
    wanted = [int(n) for n in HDR.replace("(", ",").replace(")", ",").split(",") if n.isdigit()]
    assert all(abs(a - b) <= max(2, b // 1000) for a, b in zip(numbers, wanted, strict=True))


def test_cover_art_stays(make_film: MakeFilm, tmp_path: Path) -> None:
    plain = make_film("plain.mp4", sounds=[Sound("aac")])
    picture = tmp_path / "cover.png"
    write_picture(picture, tuple(np.full((8, 8), v, np.uint8) for v in (10, 200, 90)), PixelFormat("rgb", 8), SRGB)
    source = tmp_path / "covered.mp4"
    with av.open(str(plain)) as old, av.open(str(picture)) as art, av.open(str(source), "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        cover = new.add_stream_from_template(art.streams.video[0])
        cover.disposition = av.stream.Disposition.attached_pic
        packet = next(p for p in art.demux() if p.size)
        packet.stream = cover
        new.mux_one(packet)
        for packet in old.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                new.mux_one(packet)
    assert api.probe(source).stream == 0
    for suffix in (".mp4", ".mkv"):
        with av.open(str(restored(source, suffix))) as container:
            pictures = [s for s in container.streams.video if s.disposition & av.stream.Disposition.attached_pic]
            attached = [s for s in container.streams if s.type == "attachment"]
            assert len(pictures) + len(attached) == 1


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts, before, after, words",
    [
        ({"sounds": [Sound("flac", language="fre")]}, ".mkv", ".mov", "mov cannot hold stream #1 audio flac fre: name the output .mkv, or leave it out with --skip-stream 1"),  # noqa: E501
        ({"sounds": [Sound("aac")]}, ".mp4", ".webm", "webm cannot hold stream #1 audio aac"),
        ({"subtitles": [("eng", 0, 0.2, "Hi")]}, ".mkv", ".mp4", "mp4 cannot hold stream #1 subtitle subrip eng: name the output .mkv"),  # noqa: E501
        ({"subtitles": [("eng", 0, 0.2, "Hi")]}, ".mp4", ".mkv", "matroska cannot hold stream #1 subtitle mov_text eng: leave it out with --skip-stream 1"),  # noqa: E501
        ({"attachments": [("a.ttf", "font/ttf", b"x")]}, ".mkv", ".mp4", "mp4 cannot hold stream #1 attachment font/ttf: name the output .mkv"),  # noqa: E501
    ],
)  # fmt: skip
def test_what_the_container_cannot_hold_is_named(
    make_film: MakeFilm, facts: dict[str, Any], before: str, after: str, words: str
) -> None:
    source = make_film(f"reel{before}", **facts)
    output = source.with_name(f"out{after}")
    with pytest.raises(FormatError) as caught:
        api.prepare_run(source, output, RESIZE)
    assert words in str(caught.value)
    assert not output.exists()
    skipping = replace(RESIZE, output=OutputOptions(skip_streams=(1,)))
    api.run(source, output, skipping)
    assert len(decode(output)) == 12
    with av.open(str(output)) as container:
        assert [s.type for s in container.streams] == ["video"]


def test_a_stream_that_is_not_there_cannot_be_skipped(make_film: MakeFilm) -> None:
    source = make_film("reel.mp4")
    for number in (0, 5):
        with pytest.raises(FormatError, match=f"--skip-stream {number}: the source has no such stream"):
            api.prepare_run(
                source, source.with_name("o.mp4"), replace(RESIZE, output=OutputOptions(skip_streams=(number,)))
            )


# --- sequences with sound --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_a_sequence_gets_its_sound(make_film: MakeFilm, tmp_path: Path, suffix: str) -> None:
    sound = make_film("track.mov", sounds=[Sound("pcm_s16le", click=0.2)])
    for number in range(8):
        write_picture(
            tmp_path / f"scan_{number:04d}.png",
            tuple(np.full((48, 64), number * 20 + c, np.uint8) for c in range(3)), PixelFormat("rgb", 8), SRGB,
        )  # fmt: skip
    recipe = replace(RESIZE, input=InputOptions(fps="24", audio=str(sound)))
    result = tmp_path / f"out{suffix}"
    api.run(str(tmp_path / "scan_%04d.png"), result, recipe)
    assert [round(s.time * 24) for s in decode(result)] == list(range(8))
    assert av_offset(result) == pytest.approx(0.2, abs=0.001)
