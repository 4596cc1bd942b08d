"""--master, and the pairs of encoder and container that are refused before anything is rendered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.logging
import numpy as np
import pytest
from films import Sound, decode, heard, packets_of, pattern

from restore import api
from restore.errors import FormatError
from restore.frames import ColorInfo, PixelFormat, VideoFormat
from restore.media.codecs import choose_pixel, encoder_settings
from restore.media.options import OutputOptions
from restore.media.planes import planar_format
from restore.recipe import Recipe

MakeFilm = Callable[..., Path]


def format_of(pixel: str, size: tuple[int, int] = (64, 48)) -> VideoFormat:
    parsed, _ = planar_format(pixel)
    color = ColorInfo(matrix="gbr", range="full") if parsed.model == "rgb" else ColorInfo()
    return VideoFormat(*size, parsed, color, Fraction(1, 25), Fraction(25))


@pytest.mark.parametrize(
    "pixel", ["yuv420p", "yuv422p10le", "yuv444p12le", "bgr0", "gbrp16le", "gray", "gray16le", "yuv420p16le"]
)
def test_a_master_is_lossless_intra_and_checked(make_film: MakeFilm, pixel: str) -> None:
    source = make_film("reel.mkv", codec="ffv1", pix_fmt=pixel, frames=6)
    result = source.with_name("master.mkv")
    api.run(source, result, Recipe((), output=OutputOptions(master=True)))
    for shown, number in zip(decode(result), range(6), strict=True):
        wanted = pattern(planar_format(pixel)[0], 64, 48, number)
        assert all(np.array_equal(a, b) for a, b in zip(shown.planes, wanted, strict=True))
        assert shown.key
    with av.open(str(result)) as container:
        context = container.streams.video[0].codec_context
        assert context.name == "ffv1"
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    assert checksums_notice(result)


def checksums_notice(path: Path) -> bool:
    """Whether a flipped byte of a picture is seen by its slice's checksum."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        data = bytearray(next(bytes(packet) for packet in container.demux(stream) if packet.size))
        context = av.codec.CodecContext.create("ffv1", "r")
        context.extradata = stream.codec_context.extradata
        context.width, context.height = stream.width, stream.height  # type: ignore[attr-defined]
        context.pix_fmt = stream.pix_fmt  # type: ignore[attr-defined]
    context.thread_count = 1
    data[len(data) // 2] ^= 0x55
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as logs:
            context.decode(av.Packet(bytes(data)))
            context.decode(None)
    finally:
        av.logging.set_level(level)
    return any("CRC mismatch" in text for *_, text in logs)


@pytest.mark.parametrize("codec, layout", [("pcm_s16le", "stereo"), ("pcm_s24le", "mono"), ("pcm_s16be", "mono")])
@pytest.mark.parametrize("start", [Fraction(0), Fraction(1, 8)])
def test_pcm_becomes_flac_to_the_sample(make_film: MakeFilm, codec: str, layout: str, start: Fraction) -> None:
    suffix = ".mov" if codec.endswith("be") else ".mkv"
    source = make_film(f"reel{suffix}", sounds=[Sound(codec, layout=layout, start=start, seconds=0.61)])
    result = source.with_name("master.mkv")
    api.run(source, result, Recipe((), output=OutputOptions(master=True)))
    with av.open(str(result)) as container:
        assert container.streams.audio[0].codec_context.name == "flac"
    before, after = heard(source), heard(result)
    assert after[0] == before[0]
    assert after[2].dtype == before[2].dtype
    assert np.array_equal(after[2], before[2])


def test_other_sound_stays_as_it_is(make_film: MakeFilm) -> None:
    source = make_film("reel.mkv", sounds=[Sound("aac"), Sound("flac")])
    result = source.with_name("master.mkv")
    api.run(source, result, Recipe((), output=OutputOptions(master=True)))
    for number in range(2):
        assert [p[2] for p in packets_of(source, "audio", number)] == [
            p[2] for p in packets_of(result, "audio", number)
        ]


@pytest.mark.parametrize(
    "name, pixel, options, words",
    [
        ("a.mp4", "yuv420p", {"master": True}, "ffv1 does not go into mp4: name the output .mkv"),
        ("a.mov", "yuv420p", {"master": True}, "ffv1 does not go into mov: name the output .mkv"),
        ("a.mkv", "yuv420p", {"master": True, "codec": "x264"}, "--master is lossless FFV1"),
        ("a.mkv", "yuv420p", {"master": True, "crf": 20}, "ffv1 has no --crf"),
        ("a.mp4", "yuv420p", {"codec": "prores"}, "prores_ks does not go into mp4: name the output .mov"),
        ("a.mp4", "yuv420p", {"codec": "dnxhr"}, "dnxhd does not go into mp4: name the output .mov"),
        ("a.mkv", "yuv420p", {"codec": "dnxhr"}, "dnxhd does not go into matroska: name the output .mov"),
        ("a.webm", "yuv420p", {"codec": "x264"}, "libx264 does not go into webm: name the output .mp4"),
        ("a.mov", "yuv420p", {"codec": "vp9"}, "libvpx-vp9 does not go into mov"),
        ("a.mkv", "yuv420p", {"codec": "nonsense"}, "--codec nonsense: no such encoder; known: x264"),
        ("a.mkv", "yuv420p", {"codec": "aac"}, "--codec aac: no such encoder"),
        ("a.mkv", "yuv420p", {"pix_fmt": "nonsense"}, "--pix-fmt nonsense: no such pixel format"),
        ("a.mkv", "yuv420p", {"codec": "x264", "pix_fmt": "yuv420p12le"}, "libx264 cannot hold yuv420p12le; it can: "),
        ("a.mkv", "yuv420p16le", {"codec": "x264"}, "use --codec ffv1 (.mkv), or --pix-fmt"),
        ("a.mkv", "yuva444p", {"codec": "x264"}, "libx264 has no transparency: use --codec prores or ffv1"),
        ("a.mkv", "gbrpf32le", {"codec": "x265"}, "libx265 cannot hold gbrpf32le without loss"),
        ("a.mkv", "yuv420p", {"codec": "av1", "pix_fmt": "yuv444p"}, "cannot hold yuv444p"),
        ("a.txt", "yuv420p", {}, "a.txt: cannot tell a container from the name; use one of .mp4"),
        ("a.avi", "yuv420p", {}, "a.avi: cannot tell a container from the name"),
        ("a.mp4", "yuv420p", {"preset": "nonsense"}, "encoder libx264 refuses"),
        ("a.mp4", "yuv420p", {"encoder_options": {"b:v": "2M"}}, "-e b:v: needs the whole film"),
        ("a.mp4", "yuv420p", {"encoder_options": {"pass": "1"}}, "-e pass: needs the whole film"),
        ("a.mp4", "yuv420p", {"encoder_options": {"maxrate": "1M", "bufsize": "1M"}}, "-e bufsize, maxrate: needs"),
        ("a.mp4", "yuv420p", {"encoder_options": {"x264-params": "bitrate=500"}}, "-e bitrate: needs"),
        ("a.mp4", "yuv420p10le", {"encoder_options": {"x265-params": "aq-mode=3:vbv-maxrate=9"}}, "vbv-maxrate: needs"),
        ("a.mkv", "yuv420p", {"codec": "av1", "encoder_options": {"svtav1-params": "rc=1:tbr=500"}}, "rc, tbr: needs"),
        ("a.mp4", "yuv420p", {"encoder_options": {"nonsense": "1"}}, "nonsense"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_way_out(
    tmp_path: Path, name: str, pixel: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(FormatError) as caught:
        encoder_settings(tmp_path / name, format_of(pixel), OutputOptions(**options))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, pixel, options, encoder, av_format",
    [
        ("a.mp4", "yuv420p", {}, "libx264", "yuv420p"), ("a.mp4", "yuv420p10le", {}, "libx265", "yuv420p10le"),
        ("a.mkv", "yuv422p", {}, "libx264", "yuv422p"), ("a.mov", "yuv444p12le", {}, "libx265", "yuv444p12le"),
        ("a.webm", "yuv420p", {}, "libsvtav1", "yuv420p"), ("a.webm", "yuv444p", {}, "libvpx-vp9", "yuv444p"),
        ("a.mp4", "gray", {}, "libx264", "yuv420p"), ("a.mp4", "gray10le", {}, "libx265", "yuv420p10le"),
        ("a.mp4", "gbrp", {}, "libx264", "yuv444p"), ("a.mp4", "gbrp10le", {}, "libx265", "yuv444p10le"),
        ("a.mkv", "yuv411p", {}, "libx264", "yuv422p"), ("a.mkv", "yuv410p", {}, "libx264", "yuv420p"),
        ("a.mkv", "gbrp", {"master": True}, "ffv1", "bgr0"), ("a.mkv", "gbrp16le", {"master": True}, "ffv1", "gbrp16le"),  # noqa: E501
        ("a.mkv", "gray", {"master": True}, "ffv1", "gray"), ("a.mkv", "yuv411p", {"master": True}, "ffv1", "yuv411p"),
        ("a.mkv", "yuva444p10le", {"master": True}, "ffv1", "yuva444p10le"),
        ("a.mkv", "yuv420p", {"codec": "ffv1"}, "ffv1", "yuv420p"),
        ("a.mov", "yuv420p", {"codec": "prores"}, "prores_ks", "yuv422p10le"),
        ("a.mov", "yuva444p10le", {"codec": "prores"}, "prores_ks", "yuva444p10le"),
        ("a.mp4", "yuv420p", {"codec": "libx265"}, "libx265", "yuv420p"), ("a.mp4", "yuv420p", {"codec": "hevc"}, "libx265", "yuv420p"),  # noqa: E501
        ("a.mp4", "yuv444p16le", {"pix_fmt": "yuv420p"}, "libx264", "yuv420p"),
    ],
)  # fmt: skip
def test_the_default_table(
    tmp_path: Path, name: str, pixel: str, options: dict[str, Any], encoder: str, av_format: str
) -> None:
    settings = encoder_settings(tmp_path / name, format_of(pixel), OutputOptions(**options))
    assert (settings.encoder, settings.av_format) == (encoder, av_format)


def test_the_encoder_options_of_a_person_are_added_to_ours(tmp_path: Path) -> None:
    options = OutputOptions(codec="x265", encoder_options={"x265-params": "aq-mode=3"})
    settings = encoder_settings(
        tmp_path / "a.mkv", format_of("yuv420p10le"), options, ("G(1,2)B(3,4)R(5,6)WP(7,8)L(9,1)", "100,50")
    )
    assert settings.options["x265-params"] == (
        "log-level=none:aq-mode=3:hdr10=1:master-display=G(1,2)B(3,4)R(5,6)WP(7,8)L(9,1):max-cll=100,50"
    )


def test_odd_sizes(make_film: MakeFilm) -> None:
    """x264 writes them as 4:4:4 and says so; FFV1 keeps the samples it was given."""
    source = make_film("reel.mkv", codec="ffv1", size=(63, 47), frames=2)
    lossy = source.with_name("out.mp4")
    found = api.run(source, lossy, Recipe(()))
    assert any("63x47 is odd" in note and "yuv444p" in note for note in found.notes)
    with av.open(str(lossy)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (63, 47, "yuv444p")
    master = source.with_name("master.mkv")
    found = api.run(source, master, Recipe((), output=OutputOptions(master=True)))
    assert found.notes == ()
    for shown, number in zip(decode(master), range(2), strict=True):
        wanted = pattern(PixelFormat.parse("yuv420p"), 63, 47, number)
        assert all(np.array_equal(a, b) for a, b in zip(shown.planes, wanted, strict=True))
    with pytest.raises(FormatError, match="needs an even size for yuv420p"):
        api.run(source, source.with_name("b.mp4"), Recipe((), output=OutputOptions(pix_fmt="yuv420p")))


def test_threads_are_fixed_for_the_job(make_film: MakeFilm) -> None:
    source = make_film("reel.mkv", codec="ffv1")
    setup = api.prepare_run(source, source.with_name("o.mp4"), Recipe((), output=OutputOptions(threads=3)))
    assert setup.film is not None
    assert setup.film.threads == 3
    assert setup.film.open().thread_count == 3
    assert setup.film.describe()["threads"] == 3
    other = replace(setup.film, threads=2)
    assert other.describe() != setup.film.describe()


def test_choose_pixel_never_loses() -> None:
    available = [PixelFormat.parse(n) for n in ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray", "gbrp")]
    parse = PixelFormat.parse
    assert choose_pixel(parse("yuv420p"), available, False) == parse("yuv420p")
    assert choose_pixel(parse("yuv420p9le"), available, False) == parse("yuv420p10le")
    assert choose_pixel(parse("yuv440p"), available, False) == parse("yuv444p")
    assert choose_pixel(parse("yuv422p10le"), available, False) is None
    assert choose_pixel(parse("gbrp"), available, False) == parse("yuv444p")
    assert choose_pixel(parse("gbrp"), available, True) == parse("gbrp")
    assert choose_pixel(parse("yuva420p"), available, False) is None
