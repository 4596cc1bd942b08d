"""Planes <-> R'G'B': against the equations of H.273 in float64, against swscale, and there and back."""

from __future__ import annotations

import itertools

import av
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restore.errors import SourceError
from restore.frames import ColorInfo, PixelFormat
from restore.media.color import convert_color, from_rgb, luma_of, to_rgb
from restore.media.planes import to_frame, to_planes

KR_KB = {
    "bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt470bg": (0.299, 0.114), "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087), "bt2020nc": (0.2627, 0.0593),
}  # fmt: skip
Floats = npt.NDArray[np.float64]
Samples = npt.NDArray[np.generic]
RANGES = ("limited", "full")
DEPTHS = (8, 9, 10, 12, 14, 16)
SHIFTS = {"444": (0, 0), "422": (1, 0), "420": (1, 1), "411": (2, 0), "440": (0, 1), "410": (2, 2)}
SITES = ("left", "center", "topleft", "top")

pixels = st.builds(
    PixelFormat,
    st.sampled_from(["yuv", "gray", "rgb"]),
    st.sampled_from(DEPTHS),
).flatmap(
    lambda p: (
        st.sampled_from(list(SHIFTS.values())).map(lambda s: PixelFormat("yuv", p.depth, s))
        if p.model == "yuv"
        else st.just(p)
    )
)  # fmt: skip
colors = st.builds(
    lambda matrix, value_range, site: ColorInfo("bt709", "bt709", matrix, value_range, site),
    st.sampled_from(list(KR_KB)),
    st.sampled_from(RANGES),
    st.sampled_from(SITES),
)


def bounds(pixel: PixelFormat, value_range: str, chroma: bool) -> tuple[float, float]:
    """Lowest and highest nominal code values (H.273, 8.3)."""
    unit = 2.0 ** (pixel.depth - 8)
    if value_range == "full":
        return 0.0, 2.0**pixel.depth - 1
    return 16 * unit, (240 if chroma else 235) * unit


def waves(height: int, width: int, channel: int, y: Floats, x: Floats) -> Floats:
    """A smooth R', G' or B' in [0.1, 0.9], at any position."""
    phase = channel * 1.3
    return 0.5 + 0.4 * np.sin(2 * np.pi * x / width + phase) * np.cos(2 * np.pi * y / height - phase)


def h273(rgb: Floats, matrix: str) -> Floats:
    """Equations 38 to 43: (3, h, w) R'G'B' to Y'CbCr."""
    kr, kb = KR_KB[matrix]
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    return np.stack((luma, 0.5 * (rgb[2] - luma) / (1 - kb), 0.5 * (rgb[0] - luma) / (1 - kr)))


def stored(values: Floats, pixel: PixelFormat, value_range: str, chroma: bool) -> Samples:
    """Equations 32 to 37: nominal values to code values."""
    unit = 2.0 ** (pixel.depth - 8)
    if value_range == "full":
        numbers = (2.0**pixel.depth - 1) * values + (2.0 ** (pixel.depth - 1) if chroma else 0)
    else:
        numbers = unit * (224 * values + 128) if chroma else unit * (219 * values + 16)
    return np.clip(np.round(numbers), 0, 2**pixel.depth - 1).astype(pixel.dtype)


def positions(count: int, shift: int, cosited: bool) -> Floats:
    """Where chroma samples lie, in luma samples."""
    size = 1 << shift
    return np.arange(count) * size + (0.0 if cosited else (size - 1) / 2)


def reference(pixel: PixelFormat, color: ColorInfo, height: int, width: int) -> tuple[Floats, tuple[Samples, ...]]:
    """A smooth picture as R'G'B', and as the planes a perfect encoder would store."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    rgb = np.stack([waves(height, width, c, y, x) for c in range(3)])
    if pixel.model == "rgb":
        return rgb, tuple(np.round(rgb[c] * (2**pixel.depth - 1)).astype(pixel.dtype) for c in (1, 2, 0))
    rows, columns = pixel.plane_size(1, width, height)
    down = positions(rows, pixel.chroma_shift[1], color.chroma_location in ("topleft", "top"))
    across = positions(columns, pixel.chroma_shift[0], color.chroma_location in ("left", "topleft"))
    cy, cx = np.meshgrid(down, across, indexing="ij")
    sited = h273(np.stack([waves(height, width, c, cy, cx) for c in range(3)]), color.matrix)
    luma = h273(rgb, color.matrix)[0]
    return rgb, (
        stored(luma, pixel, color.range, False),
        stored(sited[1], pixel, color.range, True),
        stored(sited[2], pixel, color.range, True),
    )


def as_tensors(planes: tuple[Samples, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(plane).unsqueeze(0) for plane in planes)


CASES = [
    (matrix, value_range, depth, sampling, site)
    for matrix, value_range, depth in itertools.product(KR_KB, RANGES, (8, 10, 12, 16))
    for sampling, site in (("420", "left"), ("420", "center"), ("420", "topleft"), ("422", "left"), ("444", "left"),
                           ("411", "left"), ("440", "center"), ("422", "center"), ("410", "center"))
]  # fmt: skip


@pytest.mark.parametrize("matrix, value_range, depth, sampling, site", CASES)
def test_both_ways_as_h273_says(matrix: str, value_range: str, depth: int, sampling: str, site: str) -> None:
    """Chroma sampled analytically at its site, so that a wrong siting shows as a shift."""
    height, width = 192, 256
    pixel = PixelFormat("yuv", depth, SHIFTS[sampling])
    color = ColorInfo("bt709", "bt709", matrix, value_range, site)  # type: ignore[arg-type]
    rgb, planes = reference(pixel, color, height, width)
    inner = (slice(None), slice(12, -12), slice(12, -12))

    ours = to_rgb(as_tensors(planes), pixel, color)[0].double().numpy()
    # Half a code value of luma, and of chroma through the largest coefficient, and what the interpolation misses.
    step = 1 / (bounds(pixel, value_range, False)[1] - bounds(pixel, value_range, False)[0])
    assert np.abs(ours - rgb)[inner].max() < 1.6 * step + 0.0006

    back = from_rgb(torch.from_numpy(rgb).float().unsqueeze(0), pixel, color)
    for plane, (ours_plane, wanted) in enumerate(zip(back, planes, strict=True)):
        difference = np.abs(ours_plane[0].numpy().astype(np.float64) - wanted)[4:-4, 4:-4]
        # The low-pass before subsampling takes a little off the wave itself.
        slack = 0.0 if plane == 0 else 0.004 * 2**depth * (sum(pixel.chroma_shift) > 0)
        assert difference.max() <= 1 + slack


@settings(max_examples=150, deadline=None)
@given(pixels, colors, st.integers(0, 2**32 - 1), st.integers(1, 23), st.integers(1, 23))
def test_there_and_back_keeps_luma(pixel: PixelFormat, color: ColorInfo, seed: int, height: int, width: int) -> None:
    """Any samples, even outside the nominal range, of any size: nothing is clamped on the way."""
    random = np.random.default_rng(seed)
    planes = tuple(
        random.integers(0, 2**pixel.depth, pixel.plane_size(p, width, height)).astype(pixel.dtype)
        for p in range(pixel.plane_count)
    )
    back = from_rgb(to_rgb(as_tensors(planes), pixel, color), pixel, color)
    subsampled = pixel.model == "yuv" and pixel.chroma_shift != (0, 0)
    for plane, (ours, wanted) in enumerate(zip(back, planes, strict=True)):
        assert ours[0].numpy().dtype == wanted.dtype
        assert ours[0].shape == wanted.shape
        if plane == 0 or not subsampled:
            assert np.abs(ours[0].numpy().astype(np.int64) - wanted.astype(np.int64)).max() <= 1


@pytest.mark.parametrize("value_range", RANGES)
@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("sampling", ["420", "422", "411", "440", "410"])
def test_even_chroma_stays_even(sampling: str, site: str, value_range: str) -> None:
    """A flat colour survives subsampling exactly, up to its edges."""
    pixel = PixelFormat("yuv", 10, SHIFTS[sampling])
    color = ColorInfo("bt709", "bt709", "bt709", value_range, site)  # type: ignore[arg-type]
    planes = tuple(np.full(pixel.plane_size(p, 17, 13), level, np.uint16) for p, level in enumerate((400, 300, 700)))
    back = from_rgb(to_rgb(as_tensors(planes), pixel, color), pixel, color)
    for ours, wanted in zip(back, planes, strict=True):
        assert np.array_equal(ours[0].numpy(), wanted)


@pytest.mark.parametrize("value_range, code", [("limited", 1), ("full", 2)])
@pytest.mark.parametrize("matrix, space", [("smpte170m", 5), ("bt709", 1), ("bt2020nc", 9), ("smpte240m", 7)])
@pytest.mark.parametrize("name", ["yuv444p", "yuv444p10le"])
def test_as_swscale_does(name: str, matrix: str, space: int, value_range: str, code: int) -> None:
    pixel = PixelFormat.parse(name)
    color = ColorInfo("bt709", "bt709", matrix, value_range)  # type: ignore[arg-type]
    _, planes = reference(pixel, color, 48, 64)
    target = PixelFormat("rgb", pixel.depth)
    frame = to_frame(planes, pixel, 64, 48)
    theirs = to_planes(
        frame.reformat(
            format=target.name, src_colorspace=space, dst_colorspace=space, src_color_range=code, dst_color_range=2
        ),
        target,
        target.name,
    )
    ours = from_rgb(to_rgb(as_tensors(planes), pixel, color), target, ColorInfo(matrix="gbr", range="full"))
    for mine, plane in zip(ours, theirs, strict=True):
        # swscale computes in integers: a little over half a per cent off at worst.
        assert np.abs(mine[0].numpy().astype(int) - plane.astype(int)).max() <= 2 << (pixel.depth - 8)


def test_grey_is_its_own_luma() -> None:
    """Limited and full grey become R = G = B, and luma of those is the grey again."""
    for value_range in RANGES:
        pixel = PixelFormat("gray", 10)
        color = ColorInfo(range=value_range)  # type: ignore[arg-type]
        low, high = bounds(pixel, value_range, False)
        ramp = np.linspace(low, high, 64).round().astype(np.uint16)[None, :]
        rgb = to_rgb(as_tensors((ramp,)), pixel, color)
        assert rgb.shape == (1, 3, 1, 64)
        assert rgb.min() == pytest.approx(0, abs=1e-6)
        assert rgb.max() == pytest.approx(1, abs=1e-6)
        assert torch.allclose(luma_of(rgb, "smpte170m"), rgb[:, 0], atol=1e-6)


def test_a_matrix_without_kr_and_kb_is_one_clear_error() -> None:
    pixel = PixelFormat("yuv", 8)
    planes = as_tensors(tuple(np.zeros((2, 2), np.uint8) for _ in range(3)))
    with pytest.raises(SourceError, match="matrix ictcp is not supported"):
        to_rgb(planes, pixel, ColorInfo(matrix="ictcp"))


def test_primaries_move_white_nowhere_and_come_back() -> None:
    """White is white under every D65 set of primaries, and converting there and back changes nothing."""
    source, target = ColorInfo("bt470bg", "bt709", "bt709"), ColorInfo("bt709", "bt709", "bt709")
    picture = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1
    there = convert_color(picture, source, target)
    assert not torch.allclose(there, picture, atol=1e-3)
    assert torch.allclose(convert_color(there, target, source), picture, atol=1e-4)
    white = torch.ones(1, 3, 1, 1)
    assert torch.allclose(convert_color(white, source, target), white, atol=1e-5)
    with pytest.raises(SourceError, match="grade it first"):
        convert_color(picture, ColorInfo("bt2020", "smpte2084", "bt2020nc"), target)


def test_swscale_is_never_asked_to_convert_a_range() -> None:
    """Full-range NV12 is repacked, not squeezed."""
    luma = np.arange(256, dtype=np.uint8).reshape(16, 16)
    frame = av.VideoFrame(16, 16, "nv12")
    frame.planes[0].update(np.pad(luma, ((0, 0), (0, frame.planes[0].line_size - 16))).tobytes())
    frame.planes[1].update(np.full(frame.planes[1].buffer_size, 77, np.uint8).tobytes())
    frame.color_range = 2
    planes = to_planes(frame, PixelFormat.parse("yuv420p"), "yuv420p")
    assert np.array_equal(planes[0], luma)
    assert {int(value) for value in np.unique(planes[1])} == {77}
