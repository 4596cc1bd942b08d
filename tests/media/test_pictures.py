"""Single pictures: what goes in comes out, in every format, and an independent reader agrees."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from restore.errors import FormatError, OutputError, SourceError, SourceNotFoundError
from restore.frames import ColorInfo, PixelFormat, Planes
from restore.media.picture_files import SRGB, SRGB_GRAY
from restore.media.picture_files.dpx import CINEON_LOG, frames_to_timecode, rational_rate
from restore.media.pictures import (
    Picture,
    PictureMetadata,
    PictureSource,
    output_format,
    read_picture,
    upright,
    write_picture,
)

LOSSLESS = [
    (suffix, model, depth, alpha)
    for suffix, depths in ((".png", (8, 16)), (".tif", (8, 16, 32)), (".exr", (32,)))
    for depth in depths
    for model in ("gray", "rgb")
    for alpha in (False, True)
] + [
    (".dpx", "rgb", 8, False),
    (".dpx", "rgb", 10, False),
    (".dpx", "rgb", 12, False),
    (".dpx", "rgb", 16, False),
    (".dpx", "rgb", 8, True),
    (".dpx", "rgb", 16, True),
    (".dpx", "gray", 8, False),
    (".dpx", "gray", 16, False),
    (".webp", "rgb", 8, False),
    (".webp", "rgb", 8, True),
]


def noise(pixel: PixelFormat, width: int, height: int, seed: int = 0) -> Planes:
    """Planes of random samples over the whole range."""
    rng = np.random.default_rng(seed)
    planes = []
    for index in range(pixel.plane_count):
        shape = pixel.plane_size(index, width, height)
        if pixel.is_float:
            planes.append(rng.standard_normal(shape).astype(np.float32))
        else:
            planes.append(rng.integers(0, 2**pixel.depth, shape).astype(pixel.dtype))
    return tuple(planes)


def color_of(pixel: PixelFormat) -> ColorInfo:
    return SRGB if pixel.model == "rgb" else SRGB_GRAY


def independent(path: Path) -> npt.NDArray[Any]:
    """The picture as (H, W, C), channels R G B [A] or Y [A], read by a library that did not write it."""
    if path.suffix in (".png", ".tif"):
        read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert read is not None
        if read.ndim == 2:
            return read[..., None]
        return read[..., [2, 1, 0, *range(3, read.shape[2])]]
    return np.atleast_3d(np.asarray(Image.open(path)))


@pytest.mark.parametrize("kind", LOSSLESS, ids=str)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.tuples(st.integers(1, 70), st.integers(1, 70)), seed=st.integers(0, 9))
def test_lossless_formats_return_every_sample(
    tmp_path: Path, kind: tuple[str, Any, int, bool], size: tuple[int, int], seed: int
) -> None:
    suffix, model, depth, alpha = kind
    width, height = size
    pixel = PixelFormat(model, depth, alpha=alpha)
    planes = noise(pixel, width, height, seed)
    path = tmp_path / f"picture{suffix}"
    write_picture(path, planes, pixel, color_of(pixel), PictureMetadata(premultiplied=suffix == ".exr"), quality=100)
    back = read_picture(path)
    assert back.pixel == pixel
    assert (back.width, back.height) == (width, height)
    for written, read in zip(planes, back.planes, strict=True):
        assert read.dtype == pixel.dtype
        np.testing.assert_array_equal(read, written)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("model", ["gray", "rgb"])
def test_another_library_reads_the_same_samples(tmp_path: Path, suffix: str, depth: int, model: Any) -> None:
    pixel = PixelFormat(model, depth)
    planes = noise(pixel, 31, 17)
    path = tmp_path / f"p{suffix}"
    write_picture(path, planes, pixel, color_of(pixel))
    expected = planes[0][..., None] if model == "gray" else np.dstack([planes[2], planes[0], planes[1]])
    np.testing.assert_array_equal(independent(path), expected)


def test_float_tiff_and_exr_are_read_by_opencv(tmp_path: Path) -> None:
    pixel = PixelFormat("rgb", 32)
    planes = noise(pixel, 33, 19)
    for suffix in (".tif", ".exr"):
        write_picture(tmp_path / f"p{suffix}", planes, pixel, replace(SRGB, transfer="linear"))
    # OpenCV looks at the variable once, when it is imported.
    script = (
        "import cv2, numpy, sys\n"
        "for name in sys.argv[1:3]:\n"
        "    numpy.save(name + '.npy', cv2.imread(name, cv2.IMREAD_UNCHANGED))"
    )
    names = [str(tmp_path / "p.tif"), str(tmp_path / "p.exr")]
    subprocess.run(
        [sys.executable, "-c", script, *names], check=True, env={**os.environ, "OPENCV_IO_ENABLE_OPENEXR": "1"}
    )
    for name in names:
        np.testing.assert_array_equal(np.load(name + ".npy"), np.dstack([planes[1], planes[0], planes[2]]))


def test_dpx_samples_lie_where_the_standard_says(tmp_path: Path) -> None:
    pixel = PixelFormat("rgb", 10)
    g, b, r = noise(pixel, 5, 3)
    write_picture(tmp_path / "p.dpx", (g, b, r), pixel, replace(SRGB, transfer=CINEON_LOG))
    data = (tmp_path / "p.dpx").read_bytes()
    magic, offset = struct.unpack_from(">4sI", data)
    assert (magic, offset) == (b"SDPX", 2048)
    assert struct.unpack_from(">I", data, 16) == (len(data),)
    assert struct.unpack_from(">II", data, 772) == (5, 3)
    assert data[800:804] == bytes([50, 3, 6, 10])  # RGB, logarithmic, BT.709, ten bits
    assert struct.unpack_from(">HH", data, 804) == (1, 0)  # filled to 32 bits, method A; not run-length coded
    words = np.frombuffer(data, ">u4", offset=2048).reshape(3, 5)
    np.testing.assert_array_equal(words >> 22, r)
    np.testing.assert_array_equal(words >> 12 & 1023, g)
    np.testing.assert_array_equal(words >> 2 & 1023, b)


# --- JPEG -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("subsampling", "shift"), [(0, (0, 0)), (1, (1, 0)), (2, (1, 1))])
def test_jpeg_planes_are_the_coded_ones(tmp_path: Path, subsampling: int, shift: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))
    image = small.resize((101, 67), Image.Resampling.BICUBIC)
    path = tmp_path / "p.jpg"
    image.save(path, quality=92, subsampling=subsampling)
    picture = read_picture(path)
    assert picture.pixel == PixelFormat("yuv", 8, shift)
    assert (picture.color.matrix, picture.color.range) == ("smpte170m", "full")
    reference = Image.open(path)
    reference.draft("YCbCr", None)
    luma = np.asarray(reference)[..., 0].astype(int)
    assert np.abs(picture.planes[0].astype(int) - luma).max() <= 1
    # Written back with its own subsampling, only the quantisation of quality 100 is added.
    write_picture(tmp_path / "q.jpg", picture.planes, picture.pixel, picture.color, quality=100)
    again = read_picture(tmp_path / "q.jpg")
    assert again.pixel == picture.pixel
    for a, b in zip(again.planes, picture.planes, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 3


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv444p", "gray", "gbrp"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 1), (17, 33)])
def test_jpegs_of_any_size(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    pixel = PixelFormat.parse(name)
    shapes = [pixel.plane_size(i, *size) for i in range(pixel.plane_count)]
    planes = tuple(np.full(shape, 60 + 50 * i, np.uint8) for i, shape in enumerate(shapes))
    write_picture(tmp_path / "p.jpg", planes, pixel, color_of(pixel))
    back = read_picture(tmp_path / "p.jpg")
    assert (back.width, back.height) == size
    if pixel.model == "rgb":  # written as YCbCr
        return
    assert back.pixel == pixel
    for a, b in zip(back.planes, planes, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_gray_rgb_and_progressive_jpegs(tmp_path: Path) -> None:
    image = Image.linear_gradient("L").resize((64, 48))
    image.save(tmp_path / "g.jpg")
    assert read_picture(tmp_path / "g.jpg").pixel == PixelFormat("gray", 8)
    image.convert("RGB").save(tmp_path / "p.jpg", progressive=True)
    assert read_picture(tmp_path / "p.jpg").pixel.model == "yuv"
    image.convert("RGB").save(tmp_path / "r.jpg", keep_rgb=True)
    assert read_picture(tmp_path / "r.jpg").pixel == PixelFormat("rgb", 8)


def test_jpeg_default_is_444_of_quality_95(tmp_path: Path) -> None:
    pixel, color = output_format("x.jpg", PixelFormat("rgb", 8), SRGB)
    assert (pixel.name, color.matrix, color.range) == ("yuv444p", "smpte170m", "full")
    planes = tuple(np.full((32, 32), v, np.uint8) for v in (90, 100, 180))
    write_picture(tmp_path / "p.jpg", planes, pixel, color)
    with Image.open(tmp_path / "p.jpg") as image:
        reference = io.BytesIO()
        Image.new("RGB", (8, 8)).save(reference, "JPEG", quality=95, subsampling=0)
        assert image.quantization == Image.open(reference).quantization  # type: ignore[attr-defined]
        assert [c[1:3] for c in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
    for a, b in zip(read_picture(tmp_path / "p.jpg").planes, planes, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


# --- metadata ---------------------------------------------------------------------------------------------


def sample_exif(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Mitchell"  # camera maker
    exif[0x010E] = "Reel 3, can 12"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({0x9003: "1938:05:01 12:00:00", 0x829A: IFDRational(1, 48), 0xA002: 640, 0xA003: 480})
    exif.get_ifd(0x8825).update({1: "N", 2: (IFDRational(52), IFDRational(30), IFDRational(0))})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def profile(gray: bool = False) -> bytes:
    if gray:
        body = bytearray(128 + 64)
        body[16:20] = b"GRAY"
        return bytes(body)
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


FULL = PictureMetadata(
    exif=sample_exif(),
    icc=profile(),
    xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><!--attic--></x:xmpmeta>",
    dpi=(300.0, 300.0),
    orientation=6,
)


@pytest.mark.parametrize(
    ("suffix", "depth", "model", "alpha"),
    [
        (".png", 8, "rgb", True),
        (".png", 16, "rgb", False),
        (".tif", 8, "rgb", True),
        (".tif", 16, "rgb", False),
        (".tif", 32, "rgb", False),
        (".jpg", 8, "yuv", False),
        (".webp", 8, "rgb", True),
    ],
)
def test_metadata_survive(tmp_path: Path, suffix: str, depth: int, model: Any, alpha: bool) -> None:
    pixel = PixelFormat(model, depth, alpha=alpha)
    path = tmp_path / f"p{suffix}"
    write_picture(path, noise(pixel, 40, 30), pixel, color_of(pixel), FULL)
    back = read_picture(path)
    assert back.pixel.alpha == alpha
    assert back.metadata.icc == FULL.icc
    assert back.metadata.xmp == FULL.xmp
    assert back.metadata.orientation == 6
    if suffix != ".webp":  # it has no place for the resolution outside EXIF
        assert back.metadata.dpi == pytest.approx((300, 300), abs=0.01)
    if depth != 32:
        with Image.open(path) as image:  # what others see
            exif = image.getexif()
            for tag in (0x8769, 0x8825):
                exif.get_ifd(tag)
    else:
        exif = Image.Exif()
        exif.load(back.metadata.exif or b"")
    assert exif[0x010F] == "Mitchell"
    assert exif[0x010E] == "Reel 3, can 12"
    assert exif[0x0112] == 6
    assert exif.get_ifd(0x8769)[0x9003] == "1938:05:01 12:00:00"
    assert exif.get_ifd(0x8769)[0x829A] == pytest.approx(1 / 48)
    assert (exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003]) == (40, 30)
    assert exif.get_ifd(0x8825)[1] == "N"
    # And once more through every other format: nothing is lost on the way.
    for other in (".png", ".tif", ".webp"):
        rgb = PixelFormat("rgb", 8)
        write_picture(tmp_path / f"q{other}", noise(rgb, 20, 10), rgb, SRGB, back.metadata)
        again = read_picture(tmp_path / f"q{other}").metadata
        assert (again.icc, again.xmp, again.orientation) == (FULL.icc, FULL.xmp, 6)
        second = Image.Exif()
        second.load(again.exif or b"")
        assert second.get_ifd(0x8769)[0x9003] == "1938:05:01 12:00:00"


def test_exif_keeps_its_bytes_but_not_the_old_thumbnail(tmp_path: Path) -> None:
    # A hand-made block: IFD0 with orientation and a maker note's worth of odd data, IFD1 with a thumbnail.
    thumbnail = b"\xff\xd8 the old picture \xff\xd9"
    ifd0 = struct.pack("<H", 2) + struct.pack("<HHIHH", 0x0112, 3, 1, 8, 0) + struct.pack("<HHII", 0x010F, 2, 8, 38)
    ifd0 += struct.pack("<I", 46)
    ifd1 = struct.pack("<H", 2) + struct.pack("<HHII", 0x0201, 4, 1, 76)
    ifd1 += struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail)) + struct.pack("<I", 0)
    block = b"II*\0" + struct.pack("<I", 8) + ifd0 + b"Debrie\0\0" + ifd1 + thumbnail
    assert (len(ifd0), len(ifd1)) == (30, 30)
    pixel = PixelFormat("gray", 8)
    write_picture(tmp_path / "p.png", noise(pixel, 9, 9), pixel, SRGB_GRAY, PictureMetadata(exif=block, orientation=3))
    back = read_picture(tmp_path / "p.png").metadata
    assert back.orientation == 3
    assert back.exif is not None
    assert b"old picture" not in back.exif
    assert b"Debrie\0" in back.exif
    assert back.exif[26:34] == block[26:34]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_damaged_exif_never_stops_a_picture(tail: bytes) -> None:
    from restore.media.picture_metadata import exif_for, exif_orientation

    for head in (b"", b"II*\0", b"MM\0*\0\0\0\x08"):
        metadata = PictureMetadata(exif=head + tail, orientation=5)
        block = exif_for(metadata, 10, 10)
        assert block is not None
        assert exif_orientation(block) == 5


def test_grey_profile_stays_with_grey_pixels_only(tmp_path: Path) -> None:
    metadata = PictureMetadata(icc=profile(gray=True))
    gray, rgb = PixelFormat("gray", 8), PixelFormat("rgb", 8)
    write_picture(tmp_path / "g.png", noise(gray, 8, 8), gray, SRGB_GRAY, metadata)
    write_picture(tmp_path / "c.png", noise(rgb, 8, 8), rgb, SRGB, metadata)
    assert read_picture(tmp_path / "g.png").metadata.icc == metadata.icc
    assert read_picture(tmp_path / "c.png").metadata.icc is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_a_tag_where_there_is_one_and_turned_pixels_elsewhere(tmp_path: Path, orientation: int) -> None:
    array = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(array).save(tmp_path / "p.png", exif=exif)
    with Image.open(tmp_path / "p.png") as image:
        from PIL import ImageOps

        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = read_picture(tmp_path / "p.png")
    assert picture.metadata.orientation == orientation
    assert (picture.width, picture.height) == (6, 4)
    turned = upright(picture)
    np.testing.assert_array_equal(np.dstack([turned.planes[2], turned.planes[0], turned.planes[1]]), expected)
    write_picture(tmp_path / "p.dpx", picture.planes, picture.pixel, picture.color, picture.metadata)
    back = read_picture(tmp_path / "p.dpx")
    np.testing.assert_array_equal(back.planes[0], turned.planes[0])


def test_dpx_header_facts_survive(tmp_path: Path) -> None:
    pixel = PixelFormat("rgb", 10)
    color = ColorInfo("bt709", CINEON_LOG, "gbr", "full")
    metadata = PictureMetadata(
        frame_rate=Fraction(24000, 1001), timecode="01:02:03;14", frame_position=7, sample_aspect=Fraction(2)
    )
    write_picture(tmp_path / "a.dpx", noise(pixel, 8, 8), pixel, color, metadata)
    first = read_picture(tmp_path / "a.dpx")
    assert (first.color.transfer, first.color.primaries) == (CINEON_LOG, "bt709")
    assert first.metadata.frame_rate == Fraction(24000, 1001)
    assert first.metadata.timecode == "01:02:03;14"
    assert first.metadata.sample_aspect == 2
    assert first.metadata.frame_position == 7
    # A scanner's own header, little-endian: texts, transfer and key code go along.
    data = bytearray((tmp_path / "a.dpx").read_bytes())
    words = np.frombuffer(bytes(data[:2048]), ">u4").astype("<u4").tobytes()
    swapped = bytearray(words) + np.frombuffer(bytes(data[2048:]), ">u4").astype("<u4").tobytes()
    for start, end in ((8, 16), (36, 660), (800, 804), (820, 852), (1432, 1620), (1664, 1712), (1732, 1920)):
        swapped[start:end] = data[start:end]
    swapped[768:772] = np.frombuffer(bytes(data[768:772]), ">u2").astype("<u2").tobytes()
    swapped[804:808] = np.frombuffer(bytes(data[804:808]), ">u2").astype("<u2").tobytes()
    swapped[:4] = b"XPDS"
    swapped[260:269] = b"Metropol\0"
    swapped[36:46] = b"scan_1.dpx"
    swapped[801] = 1  # printing density
    (tmp_path / "b.dpx").write_bytes(bytes(swapped))
    second = read_picture(tmp_path / "b.dpx")
    for a, b in zip(first.planes, second.planes, strict=True):
        np.testing.assert_array_equal(a, b)
    assert second.metadata.frame_rate == Fraction(24000, 1001)
    assert second.metadata.timecode == "01:02:03;14"
    big = noise(pixel, 16, 16)
    write_picture(tmp_path / "c.dpx", big, pixel, second.color, second.metadata)
    written = (tmp_path / "c.dpx").read_bytes()
    assert written[260:268] == b"Metropol"
    assert written[801] == 1
    assert written[36] == 0
    assert written[1432:1443] == b"scan_1.dpx\0"
    assert struct.unpack_from(">II", written, 772) == (16, 16)
    np.testing.assert_array_equal(read_picture(tmp_path / "c.dpx").planes[2], big[2])


def test_exr_attributes_survive(tmp_path: Path) -> None:
    import OpenEXR

    pixel = PixelFormat("rgb", 32)
    pixels = np.dstack(noise(pixel, 20, 10)).astype(np.float16)
    header = {
        "compression": OpenEXR.PIZ_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "owner": "Attic Archive",
        "framesPerSecond": Fraction(24000, 1001),
        "timeCode": OpenEXR.TimeCode(1, 2, 3, 4, *([False] * 6), *([0] * 8)),
        "chromaticities": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    }
    OpenEXR.File(header, {"RGB": pixels}).write(str(tmp_path / "a.exr"))
    picture = read_picture(tmp_path / "a.exr")
    assert (picture.color.transfer, picture.color.primaries) == ("linear", "bt2020")
    np.testing.assert_array_equal(picture.planes[2], pixels[..., 0].astype(np.float32))
    write_picture(tmp_path / "b.exr", picture.planes, picture.pixel, picture.color, picture.metadata)
    file = OpenEXR.File(str(tmp_path / "b.exr"), separate_channels=True)
    assert file.header()["owner"] == "Attic Archive"
    assert file.header()["framesPerSecond"] == Fraction(24000, 1001)
    assert file.header()["timeCode"].frame == 4
    assert file.header()["compression"] == OpenEXR.ZIP_COMPRESSION
    assert file.channels()["R"].pixels.dtype == np.float16
    np.testing.assert_array_equal(file.channels()["R"].pixels, pixels[..., 0])


def test_alpha_is_multiplied_in_for_exr_and_taken_out_again(tmp_path: Path) -> None:
    pixel = PixelFormat("rgb", 32, alpha=True)
    straight = (*(np.full((4, 4), v, np.float32) for v in (0.5, 0.25, 1.0)), np.full((4, 4), 0.5, np.float32))
    write_picture(tmp_path / "a.exr", straight, pixel, replace(SRGB, transfer="linear"))
    back = read_picture(tmp_path / "a.exr")
    assert back.metadata.premultiplied
    assert [float(p[0, 0]) for p in back.planes] == [0.25, 0.125, 0.5, 0.5]
    eight = tuple(np.rint(p * 255).astype(np.uint8) for p in back.planes)
    write_picture(tmp_path / "a.png", eight, replace(pixel, depth=8), SRGB, back.metadata)
    values = [int(p[0, 0]) for p in read_picture(tmp_path / "a.png").planes]
    np.testing.assert_allclose(values, [128, 64, 255, 128], atol=1)


def test_png_colour_chunks(tmp_path: Path) -> None:
    pixel = PixelFormat("rgb", 16)
    for color in (ColorInfo("bt2020", "smpte2084", "gbr", "full"), SRGB, ColorInfo("bt709", "linear", "gbr", "full")):
        write_picture(tmp_path / "p.png", noise(pixel, 4, 4), pixel, color)
        back = read_picture(tmp_path / "p.png").color
        assert (back.primaries, back.transfer) == (color.primaries, color.transfer)
        assert not back.assumed & {"primaries", "transfer"}


# --- odd kinds --------------------------------------------------------------------------------------------


def test_png_kinds(tmp_path: Path) -> None:
    gradient = Image.linear_gradient("L").resize((33, 21))
    cases = {
        "palette": (gradient.convert("RGB").quantize(16), PixelFormat("rgb", 8)),
        "bilevel": (gradient.convert("1"), PixelFormat("gray", 8)),
        "gray16": (Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100), PixelFormat("gray", 16)),
        "la": (gradient.convert("LA"), PixelFormat("gray", 8, alpha=True)),
    }
    for name, (image, pixel) in cases.items():
        image.save(tmp_path / f"{name}.png")
        picture = read_picture(tmp_path / f"{name}.png")
        assert picture.pixel == pixel, name
        if name == "palette":
            np.testing.assert_array_equal(picture.planes[0], np.asarray(image.convert("RGB"))[..., 1])
        elif name == "bilevel":
            np.testing.assert_array_equal(picture.planes[0], np.asarray(image.convert("L")))
        else:
            np.testing.assert_array_equal(
                picture.planes[0], np.asarray(image).reshape(*picture.planes[0].shape, -1)[..., 0]
            )
    transparent = gradient.convert("RGB").quantize(16)
    transparent.save(tmp_path / "t.png", transparency=0)
    picture = read_picture(tmp_path / "t.png")
    assert picture.pixel.alpha
    np.testing.assert_array_equal(picture.planes[3] == 0, np.asarray(transparent) == 0)


def test_tiff_kinds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (21, 33, 3)).astype(np.uint16)
    path = tmp_path / "p.tif"

    cv2.imwrite(str(path), deep[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])  # LZW
    np.testing.assert_array_equal(read_picture(path).planes[0], deep[..., 1])

    Image.fromarray((deep >> 8).astype(np.uint8)).save(path, compression="tiff_lzw")
    np.testing.assert_array_equal(read_picture(path).planes[2], deep[..., 0] >> 8)

    with_alpha = rng.integers(0, 65536, (21, 33, 4)).astype(np.uint16)
    cv2.imwrite(str(path), with_alpha, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    np.testing.assert_array_equal(read_picture(path).planes[3], with_alpha[..., 3])

    cv2.imwrite(str(path), deep.astype(np.float32), [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    np.testing.assert_array_equal(read_picture(path).planes[2], deep[..., 2].astype(np.float32))

    Image.fromarray(deep[..., 0] > 30000).save(path, compression="group4")
    np.testing.assert_array_equal(read_picture(path).planes[0], np.where(deep[..., 0] > 30000, 255, 0))

    associated = np.full((4, 4, 4), 100, np.uint8)
    tifffile.imwrite(path, associated, photometric="rgb", extrasamples=["assocalpha"])
    assert read_picture(path).metadata.premultiplied
    np.testing.assert_array_equal(read_picture(path).planes[0], 100)

    tifffile.imwrite(path, np.moveaxis(deep, -1, 0), photometric="rgb", planarconfig="separate", bigtiff=True)
    np.testing.assert_array_equal(read_picture(path).planes[1], deep[..., 2])

    tifffile.imwrite(path, deep[..., 0], photometric="miniswhite", tile=(16, 16))
    np.testing.assert_array_equal(read_picture(path).planes[0], 65535 - deep[..., 0])

    tifffile.imwrite(path, deep[..., 0] > 30000, photometric="minisblack")
    np.testing.assert_array_equal(read_picture(path).planes[0], np.where(deep[..., 0] > 30000, 255, 0))

    half = rng.standard_normal((7, 9, 3)).astype(np.float16)
    tifffile.imwrite(path, half, photometric="rgb")
    np.testing.assert_array_equal(read_picture(path).planes[2], half[..., 0].astype(np.float32))

    Image.fromarray((deep >> 8).astype(np.uint8)).quantize(16).save(path)
    assert read_picture(path).pixel == PixelFormat("rgb", 8)

    tifffile.imwrite(path, np.stack([deep, deep]), photometric="rgb")
    assert read_picture(path).metadata.pages == 2


def test_tiff_in_centimetres(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "p.tif", np.zeros((4, 4), np.uint8), resolution=(100, 100), resolutionunit="CENTIMETER")
    assert read_picture(tmp_path / "p.tif").metadata.dpi == (254.0, 254.0)


def test_exr_overscan_is_cropped_and_what_is_missing_is_black(tmp_path: Path) -> None:
    import OpenEXR

    pixels = np.arange(6 * 8, dtype=np.float32).reshape(6, 8)
    corner = np.int32
    header = {
        "dataWindow": (np.array([-2, 1], corner), np.array([5, 6], corner)),
        "displayWindow": (np.array([0, 0], corner), np.array([3, 9], corner)),
    }
    OpenEXR.File(header, {"Y": pixels}).write(str(tmp_path / "p.exr"))
    (plane,) = read_picture(tmp_path / "p.exr").planes
    assert plane.shape == (10, 4)
    np.testing.assert_array_equal(plane[1:7], pixels[:, 2:6])
    assert not plane[0].any()
    assert not plane[7:].any()


# --- what a file can hold ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a.png", "yuv420p", "gbrp"),
        ("a.png", "yuv420p10le", "gbrp16le"),
        ("a.png", "gray", "gray"),
        ("a.png", "gbrapf32le", "gbrap16le"),
        ("a.tif", "gbrpf32le", "gbrpf32le"),
        ("a.tiff", "gbrp10le", "gbrp16le"),
        ("a.jpg", "gbrp16le", "yuv444p"),
        ("a.JPEG", "gray16le", "gray"),
        ("a.webp", "gray", "gbrp"),
        ("a.dpx", "yuv422p10le", "gbrp10le"),
        ("a.dpx", "gray", "gray"),
        ("a.dpx", "gray10le", "gray16le"),
        ("a.dpx", "gbrap", "gbrap"),
        ("a.dpx", "gbrap10le", "gbrap16le"),
        ("a.exr", "gbrp", "gbrpf32le"),
    ],
)
def test_output_format_and_that_it_can_be_written(tmp_path: Path, name: str, source: str, expected: str) -> None:
    pixel, color = output_format(name, PixelFormat.parse(source), ColorInfo(transfer="smpte170m"))
    assert pixel.name == expected
    assert color.transfer == ("linear" if name == "a.exr" else "smpte170m")
    write_picture(tmp_path / name, noise(pixel, 5, 4), pixel, color)
    back = read_picture(tmp_path / name)
    assert (back.width, back.height, back.pixel) == (5, 4, pixel)


@pytest.mark.parametrize(
    ("name", "source"),
    [("a.jpg", "gbrap"), ("a.jpg", "yuv420p10le"), ("a.png", "gbrpf32le"), ("a.png", "yuv420p"), ("a.dpx", "gbrpf32le"),
     ("a.dpx", "gray10le"), ("a.exr", "gbrp"), ("a.gif", "gbrp")],
)  # fmt: skip
def test_impossible_pairs_are_refused_in_one_line(tmp_path: Path, name: str, source: str) -> None:
    pixel = PixelFormat.parse(source)
    with pytest.raises(FormatError) as caught:
        write_picture(tmp_path / name, noise(pixel, 4, 4), pixel, SRGB)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert not list(tmp_path.iterdir())


# --- bad input --------------------------------------------------------------------------------------------


def written(tmp_path: Path, suffix: str) -> Path:
    source = PixelFormat("rgb", 32 if suffix == ".exr" else 8)
    pixel, color = output_format(f"p{suffix}", source, SRGB)
    path = tmp_path / f"p{suffix}"
    write_picture(path, noise(pixel, 64, 64), pixel, color)
    return path


SUFFIXES = [".png", ".tif", ".jpg", ".webp", ".dpx", ".exr"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_empty_text_and_truncated(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, suffix)
    whole = path.read_bytes()
    missing = tmp_path / f"none{suffix}"
    with pytest.raises(SourceNotFoundError, match="none"):
        read_picture(missing)
    broken = [
        b"",
        b"To whom it may concern, " * 100,
        whole[: len(whole) // 2],
        whole[: len(whole) * 95 // 100],
        whole[:40],
    ]
    for data in broken:
        path.write_bytes(data)
        with pytest.raises(SourceError) as caught:
            read_picture(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # the error is all there is to say


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_contents_count_not_the_name(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, suffix)
    wrong = tmp_path / ("wrong.png" if suffix != ".png" else "wrong.jpg")
    wrong.write_bytes(path.read_bytes())
    assert read_picture(wrong).pixel == read_picture(path).pixel


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SourceError, match="folder"):
        read_picture(tmp_path / "folder.png")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(SUFFIXES))
def test_flipped_bytes_never_raise_anything_else(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    if not path.exists():
        written(tmp_path, suffix)
        path.rename(tmp_path / f"whole{suffix}")
    whole = bytearray((tmp_path / f"whole{suffix}").read_bytes())
    for _ in range(3):
        at = data.draw(st.integers(0, min(len(whole) - 1, 2500)))
        whole[at] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole))
    try:
        read_picture(path)
    except SourceError:
        pass
    finally:
        path.unlink()


def test_cmyk_is_refused_in_one_line(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "p.jpg")
    Image.new("CMYK", (8, 8)).save(tmp_path / "p.tif")
    for name in ("p.jpg", "p.tif"):
        with pytest.raises(SourceError, match="convert it to"):
            read_picture(tmp_path / name)


def test_twelve_packed_bits_are_refused_in_one_line(tmp_path: Path) -> None:
    data = bytearray()
    with tifffile.TiffWriter(tmp_path / "p.tif") as writer:
        writer.write(np.zeros((4, 4), np.uint16), photometric="minisblack")
    data = bytearray((tmp_path / "p.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "p.tif") as file:
        offset = file.pages[0].tags["BitsPerSample"].valueoffset
    struct.pack_into("<H", data, offset, 12)
    (tmp_path / "p.tif").write_bytes(bytes(data))
    with pytest.raises(SourceError, match="12 bits"):
        read_picture(tmp_path / "p.tif")


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + bytes(64)


def test_too_large_is_refused_before_decoding(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(png_header(2**16, 2**15))
    with pytest.raises(SourceError, match="at most"):
        read_picture(tmp_path / "p.png")


def test_no_rights_and_no_folder(tmp_path: Path) -> None:
    pixel = PixelFormat("rgb", 8)
    for suffix in SUFFIXES:
        chosen, color = output_format(f"p{suffix}", pixel, SRGB)
        with pytest.raises(OutputError, match="cannot be written"):
            write_picture(tmp_path / "nowhere" / f"p{suffix}", noise(chosen, 4, 4), chosen, color)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OutputError):
        write_picture(tmp_path / "taken.png", noise(pixel, 4, 4), pixel, SRGB)
    assert [p.name for p in tmp_path.iterdir()] == ["taken.png"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, ".png")
    before = path.read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="full"):
        written(tmp_path, ".png")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- the source -------------------------------------------------------------------------------------------


def test_a_picture_is_a_film_of_one_frame(tmp_path: Path) -> None:
    path = written(tmp_path, ".png")
    with PictureSource(path) as source:
        assert (source.format.width, source.format.height, source.format.pixel.name) == (64, 64, "gbrp")
        (frame,) = source.frames()
        assert (frame.pts, frame.corrupt, len(frame.planes)) == (0, False, 3)
        assert list(source.frames(1)) == []
        assert source.identity()[0][:2] == ("p.png", path.stat().st_size)
        assert len(source) == 1


@pytest.mark.parametrize("rate", [24, 25, 30, 48, Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)])
def test_header_rates_are_exact(rate: Fraction | int) -> None:
    assert rational_rate(float(np.float32(float(rate)))) == rate
    assert rational_rate(round(float(rate), 2)) == rate


@given(frames=st.integers(0, 3_000_000))
def test_drop_frame_timecode_counts_every_frame_once(frames: int) -> None:
    rate = Fraction(30000, 1001)
    here, there = frames_to_timecode("00:00:00;00", frames, rate), frames_to_timecode("00:00:00;00", frames + 1, rate)
    assert here != there
    assert frames_to_timecode(here, 1, rate) == there
    minute, second, count = int(here[3:5]), int(here[6:8]), int(here[9:])
    assert not (minute % 10 and second == 0 and count < 2)


def test_picture_holds_its_size() -> None:
    pixel = PixelFormat("gray", 8)
    picture = Picture(noise(pixel, 7, 5), pixel, SRGB_GRAY, PictureMetadata())
    assert (picture.width, picture.height) == (7, 5)
