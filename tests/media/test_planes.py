"""Packed pictures repacked without changing a sample, and ten bits kept through the whole pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from films import decode

from restore import api
from restore.frames import PixelFormat, Planes
from restore.media.options import OutputOptions
from restore.media.planes import planar_format, to_frame, to_planes
from restore.media.source import VideoSource
from restore.recipe import Recipe

MakeFilm = Callable[..., Path]
WIDTH, HEIGHT = 64, 48


def rows(frame: av.VideoFrame, plane: int, dtype: str, samples: int) -> npt.NDArray[np.generic]:
    """The raw numbers of one plane, `samples` a row, padding cut off."""
    view = frame.planes[plane]
    kind = np.dtype(dtype)
    return np.frombuffer(view, kind).reshape(-1, view.line_size // kind.itemsize)[: view.height, :samples]


def noise(name: str) -> av.VideoFrame:
    """A frame whose every byte is random."""
    random = np.random.default_rng(7)
    frame = av.VideoFrame(WIDTH, HEIGHT, name)
    for plane in frame.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
    return frame


def unpacked(frame: av.VideoFrame) -> Planes:
    """What the samples are, by the layout's own definition (libavutil/pixfmt.h), in numpy."""
    name = frame.format.name
    w, h = WIDTH, HEIGHT
    if name == "nv12":
        chroma = rows(frame, 1, "u1", w)
        return rows(frame, 0, "u1", w), chroma[:, 0::2], chroma[:, 1::2]
    if name == "p010le":
        chroma = rows(frame, 1, "<u2", w) >> 6
        return rows(frame, 0, "<u2", w) >> 6, chroma[:, 0::2], chroma[:, 1::2]
    if name in ("yuyv422", "uyvy422"):
        data = rows(frame, 0, "u1", 2 * w)
        if name == "uyvy422":
            return data[:, 1::2], data[:, 0::4], data[:, 2::4]
        return data[:, 0::2], data[:, 1::4], data[:, 3::4]
    if name in ("rgb24", "bgr24"):
        data = rows(frame, 0, "u1", 3 * w)
        red, green, blue = (data[:, n::3] for n in ((0, 1, 2) if name == "rgb24" else (2, 1, 0)))
        return green, blue, red
    if name == "bgr0":
        data = rows(frame, 0, "u1", 4 * w)
        return data[:, 1::4], data[:, 0::4], data[:, 2::4]
    if name in ("rgb48le", "rgb48be"):
        data = rows(frame, 0, "<u2" if name.endswith("le") else ">u2", 3 * w)
        return data[:, 1::3], data[:, 2::3], data[:, 0::3]
    if name in ("monow", "monob"):
        bits = np.unpackbits(rows(frame, 0, "u1", w // 8), axis=1)
        return (np.where(bits, 0, 255) if name == "monow" else np.where(bits, 255, 0),)
    if name == "gray16be":
        return (rows(frame, 0, ">u2", w),)
    if name == "pal8":
        palette = np.frombuffer(bytes(frame.planes[1]), np.uint8).reshape(256, 4)  # B G R A
        picked = palette[rows(frame, 0, "u1", w)]
        return picked[..., 1], picked[..., 0], picked[..., 2], picked[..., 3]
    pixel, _ = planar_format(name)
    planes = []
    for plane in range(pixel.plane_count):
        height, width = pixel.plane_size(plane, w, h)
        planes.append(rows(frame, plane, str(pixel.dtype), width)[:height])
    return tuple(planes)


PACKED = ["nv12", "p010le", "yuyv422", "uyvy422", "rgb24", "bgr24", "bgr0", "rgb48le", "rgb48be", "monow", "monob",
          "gray16be", "pal8", "yuvj420p", "yuvj422p", "yuvj444p", "yuv411p", "gbrp"]  # fmt: skip


@pytest.mark.parametrize("value_range", [0, 1, 2])
@pytest.mark.parametrize("name", PACKED)
def test_no_sample_changes(name: str, value_range: int) -> None:
    frame = noise(name)
    wanted = unpacked(frame)
    frame.color_range = value_range
    pixel, twin = planar_format(name)
    planes = to_planes(frame, pixel, twin)
    assert len(planes) == pixel.plane_count == len(wanted)
    for plane, want in zip(planes, wanted, strict=True):
        assert plane.dtype == pixel.dtype
        assert plane.flags.c_contiguous
        assert np.array_equal(plane, want)


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv422p10le", "gray", "gray12le", "gbrp16le", "yuva444p", "gbrapf32le", "ya8"]
)
def test_planes_become_a_frame_and_planes_again(name: str) -> None:
    pixel = PixelFormat.parse(name)
    random = np.random.default_rng(3)
    planes = tuple(
        random.random(pixel.plane_size(p, 33, 17)).astype(np.float32)
        if pixel.is_float
        else random.integers(0, 2**pixel.depth, pixel.plane_size(p, 33, 17)).astype(pixel.dtype)
        for p in range(pixel.plane_count)
    )
    frame = to_frame(planes, pixel, 33, 17)
    assert frame.format.name == name
    if name == "ya8":
        data = rows_of(frame)
        assert np.array_equal(data[:, 0::2][:, :33], planes[0])
        assert np.array_equal(data[:, 1::2][:, :33], planes[1])
        return
    for plane, want in zip(to_planes(frame, pixel, name), planes, strict=True):
        assert np.array_equal(plane, want)


def rows_of(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    return np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)[: frame.height]


@pytest.mark.parametrize("name", ["yuyv422", "uyvy422", "rgb24", "monow", "nv12", "rgb48le"])
def test_raw_films_are_read_as_they_are(make_film: MakeFilm, name: str) -> None:
    pixel, _ = planar_format(name)
    random = np.random.default_rng(5)
    planes = tuple(
        random.integers(0, 2**pixel.depth, pixel.plane_size(p, WIDTH, HEIGHT)).astype(pixel.dtype)
        for p in range(pixel.plane_count)
    )
    if name == "monow":
        planes = (np.where(planes[0] > 127, 255, 0).astype(np.uint8),)
    source = make_film("raw.nut", codec="rawvideo", pix_fmt=name, frames=2, pictures=lambda n: planes)
    with VideoSource(source) as film:
        for frame in film.frames():
            assert all(np.array_equal(a, b) for a, b in zip(frame.planes, planes, strict=True))


@pytest.mark.parametrize("codec, options", [("ffv1", {}), ("x265", {"x265-params": "lossless=1"})])
def test_a_ramp_of_ten_bits_keeps_its_levels(make_film: MakeFilm, codec: str, options: dict[str, str]) -> None:
    """Through our own x2 network at full strength: sources above 8 bits are computed in fp32."""
    ramp = np.broadcast_to(np.arange(1024, dtype=np.uint16), (32, 1024))
    middle = np.full((16, 512), 512, np.uint16)
    source = make_film(
        "ramp.mkv", codec="ffv1", pix_fmt="yuv420p10le", size=(1024, 32), frames=1, tags=(1, 1, 1, 2),
        pictures=lambda n: (ramp, middle, middle),
    )  # fmt: skip
    recipe = Recipe.of("upscale", scale=2, strength=1, blur=0.0, noise=0.0, compression=0.0)
    recipe = replace(
        recipe, output=OutputOptions(codec=codec, encoder_options=options, preset="ultrafast" if options else None)
    )
    setup = api.prepare_run(source, source.with_name("out.mkv"), recipe)
    assert setup.device.precision == "fp32"
    api.run_prepared(setup)
    (shown,) = decode(source.with_name("out.mkv"))
    assert shown.planes[0].shape == (64, 2048)
    assert len(np.unique(shown.planes[0][32])) >= 1000
    assert len(np.unique(shown.planes[0])) >= 1000
