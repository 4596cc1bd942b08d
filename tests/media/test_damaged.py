"""Damaged sources: what decodes comes through, in sync, and what does not is named; clean ones are never accused."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import av
import pytest
from films import Sound, click_time, decode

from restore import api
from restore.errors import SourceError
from restore.media.source import VideoSource
from restore.media.watch import ffv1_intact
from restore.pipeline.index import DamagedRange
from restore.pipeline.runner import JobResult
from restore.recipe import Recipe

MakeFilm = Callable[..., Path]
MATERIAL = Path(os.environ.get("RESTORE_TEST_MATERIAL", Path(__file__).parents[3] / "shared" / "test")) / "video"
GOP = Fraction(12, 25)
CHECKED = {"level": "3", "slicecrc": "1", "g": "1", "slices": "4"}


def break_packets(path: Path, numbers: list[int]) -> list[Fraction]:
    """Flip bytes in some of the picture's packets (in file order); returns their times."""
    random = Random(0)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [
            (p.pos or 0, bytes(p), p.pts * p.time_base)
            for p in container.demux(video=0)
            if p.size and p.pts is not None
        ]
    times = []
    for number in numbers:
        position, payload, time = packets[number]
        start, size = position + 40, 140  # a packet of a transport stream
        if path.suffix != ".ts":
            start, size = data.find(payload[:40], position) + 12, len(payload) - 12
        for _ in range(30):
            data[start + random.randrange(max(1, size))] ^= random.randrange(1, 256)
        times.append(time)
    path.write_bytes(data)
    return times


def restore(source: Path, name: str = "out.mkv") -> JobResult:
    return api.run(source, source.with_name(name), Recipe(()))


def covers(found: tuple[DamagedRange, ...], times: list[Fraction], leeway: Fraction = GOP) -> bool:
    """Every damaged time is named, and nothing further than a group of pictures away is."""
    named = all(any(d.start - leeway <= time <= d.end + leeway for d in found) for time in times)
    near = all(min(times) - leeway <= d.start and d.end <= max(times) + leeway for d in found)
    return bool(found) and named and near


CASES = [
    ("libx264", ".mkv", "yuv420p", {}), ("libx264", ".mp4", "yuv420p", {}), ("libx264", ".ts", "yuv420p", {}),
    ("mpeg2video", ".ts", "yuv420p", {}), ("mpeg4", ".mkv", "yuv420p", {}), ("ffv1", ".mkv", "yuv420p", CHECKED),
    ("prores_ks", ".mov", "yuv422p10le", {}), ("mjpeg", ".mov", "yuvj420p", {}),
]  # fmt: skip


@pytest.mark.parametrize("codec, suffix, pixel, options", CASES)
def test_a_broken_middle_is_named(
    make_film: MakeFilm, codec: str, suffix: str, pixel: str, options: dict[str, str]
) -> None:
    tags = (2, 2, 2, 2) if pixel == "yuvj420p" else (2, 2, 2, 0)
    sound = Sound("libmp3lame" if suffix == ".ts" else "aac", seconds=2.4, click=2.1)
    source = make_film(
        f"reel{suffix}", codec=codec, pix_fmt=pixel, frames=60, size=(128, 96), gop=12, sounds=[sound],
        options=options, tags=tags,
    )  # fmt: skip
    assert restore(source, "clean.mkv").damaged == ()
    before = decode(source)
    offset = click_time(source) - float(before[0].time)
    times = break_packets(source, [24])
    found = restore(source)
    assert covers(found.damaged, times), (found.damaged, times)
    shown = decode(source.with_name("out.mkv"))
    # Every picture that came stands at its own time, and none beyond the broken group is gone.
    moved = shown[0].time - before[0].time
    wanted = {round((picture.time + moved) * 1000) for picture in before}
    assert {round(picture.time * 1000) for picture in shown} <= wanted
    assert len(shown) >= len(before) - 12
    assert len(shown) == found.frames
    assert click_time(source.with_name("out.mkv")) - float(shown[0].time) == pytest.approx(offset, abs=0.001)


@pytest.mark.parametrize("codec, suffix", [("libx264", ".mkv"), ("ffv1", ".mkv"), ("libx264", ".ts")])
def test_a_film_cut_off_says_so(make_film: MakeFilm, codec: str, suffix: str) -> None:
    sound = Sound("libmp3lame", seconds=2.4, click=0.4)
    source = make_film(f"reel{suffix}", codec=codec, frames=60, size=(128, 96), gop=12, sounds=[sound])
    before, offset = decode(source), click_time(source) - float(decode(source, 1)[0].time)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 6 // 10])
    found = restore(source)
    shown = decode(source.with_name("out.mkv"))
    assert 25 < len(shown) == found.frames < 45
    end = before[0].time + shown[-1].time - shown[0].time
    assert any(abs(d.start - end) <= GOP for d in found.damaged), (found.damaged, end)
    assert click_time(source.with_name("out.mkv")) - float(shown[0].time) == pytest.approx(offset, abs=0.001)


def test_a_broken_slice_of_ffv1_is_seen_by_its_checksum(make_film: MakeFilm) -> None:
    """The decoder shows such a picture without a word."""
    source = make_film("reel.mkv", codec="ffv1", frames=8, options=CHECKED)
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert all(ffv1_intact(data) for data in packets)
    for place in range(0, len(packets[0]), 97):
        broken = bytearray(packets[0])
        broken[place] ^= 1
        assert not ffv1_intact(bytes(broken))
    assert not ffv1_intact(packets[0][:-3])
    times = break_packets(source, [3, 4])
    (found,) = restore(source).damaged
    assert (found.start, found.end, found.frames, found.kind) == (times[0], times[1] + Fraction(1, 25), 2, "corrupt")


def test_ffv1_without_checksums_is_not_accused(make_film: MakeFilm) -> None:
    source = make_film("reel.mkv", codec="ffv1", frames=8, options={"level": "3", "slicecrc": "0", "slices": "4"})
    assert restore(source).damaged == ()


@pytest.mark.parametrize(
    "facts",
    [
        {"name": "a.mkv", "pts": [0, 40, 80, 900, 940, 980, 5000, 5040], "time_base": Fraction(1, 1000)},
        {"name": "a.mp4", "frames": 40, "gop": 10, "pts": [n + 50 for n in range(40)]},
        {"name": "a.mkv", "codec": "libvpx-vp9", "frames": 40, "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
        {"name": "a.mkv", "codec": "libsvtav1", "frames": 40},
        {"name": "a.ts", "codec": "mpeg2video", "frames": 40, "options": {"bf": "2"}},
        {"name": "a.avi", "codec": "mpeg4", "frames": 40, "options": {"bf": "2"}},
        {"name": "a.mp4", "frames": 20, "sounds": [Sound("aac", seconds=3.0)]},
        {"name": "a.mkv", "frames": 20, "subtitles": [("eng", 0.1, 9.0, "stays")]},
        {"name": "a.m2v", "codec": "mpeg2video", "frames": 20},
    ],
    ids=["variable", "late", "vp9", "av1", "ts", "avi", "long sound", "long title", "no container"],
)
def test_clean_films_are_not_accused(make_film: MakeFilm, facts: dict[str, Any]) -> None:
    source = make_film(**facts)
    found = restore(source)
    assert found.damaged == ()
    assert found.frames == len(facts.get("pts") or range(facts.get("frames", 12)))


@pytest.mark.skipif(not MATERIAL.is_dir(), reason=f"no test material at {MATERIAL}")
def test_real_films_are_not_accused() -> None:
    for path in sorted(MATERIAL.rglob("*.m*")):
        if path.stat().st_size > 1_000_000:
            continue
        with VideoSource(path, threads=1) as source:
            source.watched = True
            count = sum(1 for frame in source.frames() if not frame.corrupt)
            assert (list(source.lost), source.decode_errors) == ([], 0), path.name
            assert count > 0


def test_one_picture_of_another_size_is_damage_and_many_are_another_film(make_film: MakeFilm) -> None:
    first = make_film("first.ts", codec="mpeg2video", frames=12)
    second = make_film("second.ts", codec="mpeg2video", frames=12, size=(96, 80), pts=[n + 12 for n in range(12)])
    both = first.with_name("both.ts")
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(SourceError, match="the picture changes from 64x48 yuv420p to 96x80 yuv420p") as caught:
        restore(both)
    assert "\n" not in str(caught.value)
    short = make_film("short.ts", codec="mpeg2video", frames=2, size=(96, 80), pts=[12, 13])
    both.write_bytes(first.read_bytes() + short.read_bytes())
    found = restore(both, "short.mkv")
    assert found.frames >= 11
    assert found.damaged
