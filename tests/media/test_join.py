"""Segments joined without encoding again: every frame, its time, its pixels, from the start and every key frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from films import decode, packets_of, pattern

from restore.errors import OutputError, PlanError
from restore.frames import ColorInfo, Frame, PixelFormat, Planes, VideoFormat
from restore.media.codecs import EncoderSettings, encoder_settings
from restore.media.encode import SegmentEncoder, read_segment, reorder_depth
from restore.media.mux import MuxPlan, join
from restore.media.options import OutputOptions
from restore.media.planes import planar_format, to_planes
from restore.media.probe import SourceInfo
from restore.media.verify import verify

SIZE = (64, 48)
ENCODINGS = [
    ("x264", "yuv420p", ".mp4"), ("x264", "yuv420p", ".mov"), ("x264", "yuv420p", ".mkv"),
    ("x265", "yuv420p10le", ".mp4"), ("x265", "yuv420p", ".mkv"),
    ("av1", "yuv420p", ".mp4"), ("av1", "yuv420p10le", ".mkv"), ("av1", "yuv420p", ".webm"),
    ("vp9", "yuv420p", ".webm"), ("vp9", "yuv420p", ".mp4"),
    ("ffv1", "yuv420p", ".mkv"), ("ffv1", "yuv422p10le", ".mkv"), ("ffv1", "gbrp", ".mkv"),
    ("prores", "yuv422p10le", ".mov"), ("prores", "yuv444p10le", ".mkv"),
    ("dnxhr", "yuv422p", ".mov"), ("dnxhr", "yuv422p10le", ".mov"),
]  # fmt: skip
CONSTANT = list(range(0, 40 * 512, 512))
VARIABLE = [0, 512, 700, 2000, 2010, 2011, 5000, 5512, 6024, 6536, 9000, 9001, 9002, 12000, 12600, 13000, 13512, 14000]


def settings_for(path: Path, codec: str, pixel: str, time_base: Fraction = Fraction(1, 12800)) -> EncoderSettings:
    size = (256, 128) if codec == "dnxhr" else SIZE
    format = VideoFormat(*size, PixelFormat.parse(pixel), ColorInfo(), time_base, Fraction(25))
    if format.pixel.model == "rgb":
        format = VideoFormat(*size, format.pixel, ColorInfo(matrix="gbr", range="full"), time_base, Fraction(25))
    options = {"x264": "veryfast", "x265": "ultrafast", "av1": "12"}
    return encoder_settings(path, format, OutputOptions(codec=codec, preset=options.get(codec), threads=1))


def render(folder: Path, settings: EncoderSettings, pts: list[int], cuts: list[int]) -> tuple[list[Path], int]:
    """Encode segments that start at frames `cuts`; returns their files and the largest reorder depth."""
    paths, depths = [], []
    for number, (first, stop) in enumerate(zip([0, *cuts], [*cuts, len(pts)], strict=True)):
        path = folder / f"{number:03d}.segment"
        fmt = settings.format
        with SegmentEncoder(path, settings) as sink:
            for frame in range(first, stop):
                sink.write(Frame(pts[frame], pattern(fmt.pixel, fmt.width, fmt.height, frame)))
            depths.append(sink.finish()[1])
        paths.append(path)
    return paths, max(depths)


def info_of(settings: EncoderSettings) -> SourceInfo:
    return SourceInfo(
        "none", "none", "none", settings.format, 0, None, None, Fraction(0), "progressive", kind="sequence"
    )


def plan_for(path: Path, settings: EncoderSettings, pts: list[int], segments: list[Path], reorder: int) -> MuxPlan:
    return MuxPlan(path, settings, segments, pts, pts[-1] + 512, reorder, info_of(settings), ())


def decode_segment(path: Path, settings: EncoderSettings) -> list[Planes]:
    """The pictures of one segment by itself, without any container."""
    extradata, packets = read_segment(path)
    context = VideoCodecContext.create(_decoder(settings.encoder), "r")
    context.extradata = extradata or None
    if settings.encoder == "prores_ks" and settings.format.pixel.chroma_shift == (0, 0):
        context.codec_tag = "ap4h"  # what the container says: decode as 12 bits
    context.width, context.height, context.pix_fmt = settings.format.width, settings.format.height, settings.av_format
    frames = []
    for stored in packets:
        packet = av.Packet(stored.data)
        packet.pts = stored.pts
        frames += context.decode(packet)
    frames += context.decode(None)
    result = []
    for frame in frames:
        pixel, twin = planar_format(frame.format.name)
        result.append(to_planes(frame, pixel, twin))
    return result


def _decoder(encoder: str) -> str:
    names = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "prores_ks": "prores", "libsvtav1": "libdav1d"}
    return names.get(encoder, encoder)


def base_of(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        base = container.streams.video[0].time_base
    assert base is not None
    return base


def check_joined(plan: MuxPlan) -> None:
    """Everything a player or an archive relies on."""
    verify(plan)
    base = base_of(plan.path)
    shown = decode(plan.path)
    wanted = [pts * plan.settings.format.time_base for pts in plan.pts]
    times = [picture.time for picture in shown]
    assert len(times) == len(wanted)
    assert all(abs(time - want) <= base / 2 for time, want in zip(times, wanted, strict=True))
    alone = [planes for path in plan.segments for planes in decode_segment(path, plan.settings)]
    for picture, planes in zip(shown, alone, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(picture.planes, planes, strict=True))
    if plan.settings.container in ("mp4", "mov"):  # the others store no DTS
        packets = packets_of(plan.path, "video")
        order = [dts for _, dts, _ in packets]
        assert all(a < b for a, b in zip(order, order[1:], strict=False)), order
        assert all(dts <= pts for pts, dts, _ in packets)
    check_seeking(plan.path, shown)


def check_seeking(path: Path, shown: list) -> None:
    """From each key frame on, the same pictures come."""
    by_time = {picture.time: picture.planes for picture in shown}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        keys = [p.pts for p in container.demux(stream) if p.size and p.is_keyframe]
        assert stream.time_base is not None
        for key in keys:
            container.seek(key, stream=stream)
            frames = []
            for frame in container.decode(stream):
                frames.append(frame)
                if len(frames) == 4:
                    break
            assert frames[0].pts <= key
            for frame in frames:
                pixel, twin = planar_format(frame.format.name)
                planes = to_planes(frame, pixel, twin)
                known = by_time[frame.pts * stream.time_base]
                assert all(np.array_equal(a, b) for a, b in zip(planes, known, strict=True))


@pytest.mark.parametrize("codec, pixel, suffix", ENCODINGS)
@pytest.mark.parametrize("pts, cuts", [(CONSTANT, [13, 14, 20]), (VARIABLE, [5, 6, 12])], ids=["constant", "variable"])
def test_segments_join(tmp_path: Path, codec: str, pixel: str, suffix: str, pts: list[int], cuts: list[int]) -> None:
    path = tmp_path / f"film{suffix}"
    base = Fraction(1, 1000) if suffix in (".mkv", ".webm") else Fraction(1, 12800)
    settings = settings_for(path, codec, pixel, base)
    segments, reorder = render(tmp_path, settings, pts, cuts)
    plan = plan_for(path, settings, pts, segments, reorder)
    join(plan)
    check_joined(plan)


@pytest.mark.parametrize("codec, pixel, suffix", ENCODINGS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_films(tmp_path: Path, codec: str, pixel: str, suffix: str, count: int) -> None:
    path = tmp_path / f"film{suffix}"
    settings = settings_for(path, codec, pixel, Fraction(1, 25))
    pts = list(range(count))
    segments, reorder = render(tmp_path, settings, pts, [])
    plan = MuxPlan(path, settings, segments, pts, count, reorder, info_of(settings), ())
    join(plan)
    check_joined(plan)


@pytest.mark.parametrize("codec, pixel, suffix", [e for e in ENCODINGS if e[0] in ("x264", "x265", "av1", "ffv1")])
def test_a_segment_for_every_frame(tmp_path: Path, codec: str, pixel: str, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    pts = [10, 11, 14, 15, 16, 20]
    settings = settings_for(path, codec, pixel, Fraction(1, 24))
    segments, reorder = render(tmp_path, settings, pts, [1, 2, 3, 4, 5])
    assert reorder == 0
    plan = MuxPlan(path, settings, segments, pts, 21, reorder, info_of(settings), ())
    join(plan)
    check_joined(plan)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_film_that_starts_late(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film{suffix}"
    settings = settings_for(path, "x264", "yuv420p", Fraction(1, 1000))
    pts = [3000 + 40 * n for n in range(12)]
    segments, reorder = render(tmp_path, settings, pts, [6])
    assert reorder > 0
    plan = MuxPlan(path, settings, segments, pts, pts[-1] + 40, reorder, info_of(settings), ())
    join(plan)
    check_joined(plan)


def test_reorder_depth() -> None:
    assert reorder_depth([]) == 0
    assert reorder_depth([0, 1, 2]) == 0
    assert reorder_depth([0, 2, 1]) == 1
    assert reorder_depth([0, 40, 20, 10, 30]) == 2


@pytest.mark.parametrize("codec", ["x264", "x265"])
def test_the_same_pictures_give_the_same_bytes(tmp_path: Path, codec: str) -> None:
    """Whatever lay in memory before: 21 macroblocks in a row, and a picture that moves and grains."""
    path = tmp_path / "film.mkv"
    format = VideoFormat(336, 192, PixelFormat.parse("yuv420p"), ColorInfo(), Fraction(1, 24), Fraction(24))
    settings = encoder_settings(path, format, OutputOptions(codec=codec, preset="medium", threads=1))
    random = np.random.default_rng(3)
    picture = np.cumsum(random.normal(0, 3, (192, 500)), 1) % 200 + 20
    chroma = np.full((96, 168), 128, np.uint8)
    frames = [
        (picture[:, 2 * n : 2 * n + 336] + random.normal(0, 4, (192, 336))).clip(16, 235).astype(np.uint8)
        for n in range(60)
    ]
    made = set()
    for turn in range(3):
        segment = tmp_path / f"{turn}.segment"
        with SegmentEncoder(segment, settings) as sink:
            for n, luma in enumerate(frames):
                sink.write(Frame(n, (luma, chroma, chroma)))
                random.bytes(300_000 * (1 + (n + turn) % 7))
            sink.finish()
        made.add(segment.read_bytes())
    assert len(made) == 1


def test_segments_of_other_settings_are_not_joined(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    settings = settings_for(path, "x264", "yuv420p")
    other = encoder_settings(path, settings.format, OutputOptions(codec="x264", preset="ultrafast", threads=1))
    segments, reorder = render(tmp_path, other, CONSTANT[:4], [])
    with pytest.raises(OutputError, match="encoded with other settings"):
        join(plan_for(path, settings, CONSTANT[:4], segments, reorder))


def test_a_broken_segment_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    settings = settings_for(path, "x264", "yuv420p")
    segments, reorder = render(tmp_path, settings, CONSTANT[:8], [4])
    whole = segments[1].read_bytes()
    plan = plan_for(path, settings, CONSTANT[:8], segments, reorder)
    for broken in (whole[:-5], b"not a segment", b"", whole[: len(whole) // 2]):
        segments[1].write_bytes(broken)
        with pytest.raises((PlanError, OutputError)):
            join(plan)
    missing = MuxPlan(path, settings, segments[:1], CONSTANT[:8], 4096, reorder, info_of(settings), ())
    with pytest.raises(OutputError, match="hold 4 frames instead of 8"):
        join(missing)


def test_a_half_written_segment_leaves_nothing(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "film.mp4", "x264", "yuv420p")
    path = tmp_path / "one.segment"
    with pytest.raises(ZeroDivisionError), SegmentEncoder(path, settings) as sink:  # noqa: PT012
        sink.write(Frame(0, pattern(settings.format.pixel, *SIZE, 0)))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
