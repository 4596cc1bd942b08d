"""Colour tags: copied, or written as what was assumed; conversion where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from films import Tags, decode, flat, pattern
from test_color import KR_KB

from restore import api
from restore.errors import SourceError
from restore.frames import ColorInfo, PixelFormat, VideoFormat
from restore.media.codecs import encoder_settings
from restore.media.options import OutputOptions
from restore.media.planes import planar_format
from restore.media.tags import complete
from restore.recipe import Recipe

MakeFilm = Callable[..., Path]
RESIZE = Recipe.of("upscale", scale=2, strength=0)


def restored(source: Path, name: str, recipe: Recipe = RESIZE, **output: object) -> Path:
    result = source.parent / name
    api.run(source, result, replace(recipe, output=OutputOptions(**output)))  # type: ignore[arg-type]
    return result


def tags_of(path: Path) -> Tags:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return (int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace), int(frame.color_range))


@pytest.mark.parametrize(
    "codec, pixel, suffix",
    [(None, "yuv420p", ".mp4"), (None, "yuv420p", ".mkv"), (None, "yuv420p10le", ".mov"), ("av1", "yuv420p", ".mkv"),
     ("ffv1", "yuv422p10le", ".mkv"), ("prores", "yuv422p10le", ".mov"), ("vp9", "yuv420p", ".webm")],
)  # fmt: skip
@pytest.mark.parametrize("tags", [(9, 16, 9, 1), (5, 6, 5, 1), (1, 1, 1, 1)])
def test_tags_are_copied(make_film: MakeFilm, codec: str | None, pixel: str, suffix: str, tags: Tags) -> None:
    source = make_film("reel.mkv", codec="ffv1", pix_fmt=pixel, tags=tags, frames=2)
    assert tags_of(restored(source, f"out{suffix}", codec=codec)) == tags


@pytest.mark.parametrize(
    "size, wanted",
    [((64, 48), (6, 6, 6, 1)), ((64, 576), (5, 6, 5, 1)), ((64, 480), (6, 6, 6, 1)), ((64, 720), (1, 1, 1, 1))],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_an_untagged_film_is_tagged_as_what_it_was_taken_for(
    make_film: MakeFilm, size: tuple[int, int], wanted: Tags, suffix: str
) -> None:
    """By the lines of the source: enlarged, it would be taken for another matrix."""
    source = make_film("reel.mkv", codec="ffv1", size=size, frames=1)
    info = api.probe(source)
    assert info.format.color.assumed == {"primaries", "transfer", "matrix", "range"}
    assert tags_of(restored(source, f"out{suffix}")) == wanted


def test_a_tag_that_cannot_be_is_a_mistake() -> None:
    yuv, rgb = PixelFormat("yuv", 8, (1, 1)), PixelFormat("rgb", 8)
    assert complete(yuv, 1080, "h264", (1, 1, 0, 1), False).matrix == "bt709"
    assert complete(rgb, 1080, "ffv1", (1, 1, 1, 1), False).matrix == "gbr"
    assert complete(rgb, 1080, "ffv1", (1, 1, 1, 1), False).range == "full"
    assert complete(yuv, 480, "mjpeg", (2, 2, 2, 0), True).range == "full"


def test_rgb_becomes_tagged_bt709(make_film: MakeFilm) -> None:
    """RGB into x264: 4:4:4 YUV, BT.709, limited, and the right numbers."""
    pixel = PixelFormat("rgb", 8)
    green, blue, red = (np.full((48, 64), value, np.uint8) for value in (180, 40, 90))
    source = make_film("reel.mkv", codec="ffv1", pix_fmt="bgr0", frames=2, pictures=lambda n: (green, blue, red))
    result = restored(source, "out.mp4", crf=1)
    with av.open(str(result)) as container:
        assert container.streams.video[0].pix_fmt == "yuv444p"
    assert tags_of(result)[2:] == (1, 1)
    kr, kb = KR_KB["bt709"]
    luma = kr * 90 / 255 + (1 - kr - kb) * 180 / 255 + kb * 40 / 255
    wanted = [
        16 + 219 * luma, 128 + 224 * (40 / 255 - luma) / (2 - 2 * kb), 128 + 224 * (90 / 255 - luma) / (2 - 2 * kr)
    ]  # fmt: skip
    for plane, value in zip(decode(result, 1)[0].planes, wanted, strict=True):
        assert np.abs(plane.astype(float) - value).max() <= 1.5
    assert pixel.plane_count == 3


def test_output_color_converts(make_film: MakeFilm) -> None:
    """A flat BT.601 colour keeps its R'G'B' under BT.709's matrix."""
    codes = (120, 90, 170)
    pixel = PixelFormat("yuv", 8, (1, 1))
    planes = tuple(np.full(pixel.plane_size(p, 64, 48), code, np.uint8) for p, code in enumerate(codes))
    source = make_film("reel.mkv", codec="ffv1", tags=(1, 1, 6, 1), frames=1, pictures=lambda n: planes)
    result = restored(source, "out.mkv", codec="ffv1", output_color="bt709")
    assert tags_of(result) == (1, 1, 1, 1)
    kr, kb = KR_KB["smpte170m"]
    luma, cb, cr = (codes[0] - 16) / 219, (codes[1] - 128) / 224, (codes[2] - 128) / 224
    red, blue = luma + (2 - 2 * kr) * cr, luma + (2 - 2 * kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    kr, kb = KR_KB["bt709"]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    wanted = (16 + 219 * luma, 128 + 224 * (blue - luma) / (2 - 2 * kb), 128 + 224 * (red - luma) / (2 - 2 * kr))
    for plane, value in zip(decode(result, 1)[0].planes, wanted, strict=True):
        assert np.abs(plane.astype(float) - value).max() <= 0.51


def test_jpeg_is_full_range_601(make_film: MakeFilm) -> None:
    """White stays 255 and the range is said; the chroma's place in the middle is kept and said, too."""
    pixel = PixelFormat("yuv", 8, (1, 1))
    source = make_film(
        "reel.avi", codec="mjpeg", pix_fmt="yuvj420p", frames=2, tags=(2, 2, 2, 2),
        pictures=lambda n: flat(pixel, 64, 48, 1.0), options={"qmin": "1", "qmax": "1"},
    )  # fmt: skip
    color = api.probe(source).format.color
    assert (color.range, color.chroma_location) == ("full", "center")
    assert color.matrix in ("bt470bg", "smpte170m")
    result = restored(source, "out.mp4", crf=1)
    assert tags_of(result)[3] == 2
    assert decode(result, 1)[0].planes[0].min() >= 254
    back = restored(source, "back.mkv", codec="ffv1", output_color="bt709")
    assert tags_of(back) == (1, 1, 1, 1)
    assert set(np.unique(decode(back, 1)[0].planes[0])) <= {234, 235}


def test_chroma_in_the_middle_is_written_down(tmp_path: Path) -> None:
    """The encoder's headers differ by the chroma location alone."""
    format = VideoFormat(64, 48, PixelFormat("yuv", 8, (1, 1)), ColorInfo(), Fraction(1, 25), Fraction(25))
    for codec in ("x264", "x265"):
        headers = set()
        for place in ("left", "center", "topleft"):
            color = replace(format.color, chroma_location=place)
            settings = encoder_settings(tmp_path / "a.mp4", replace(format, color=color), OutputOptions(codec=codec))
            headers.add(bytes(settings.open().extradata or b""))
        assert len(headers) == 3


def test_a_matrix_that_cannot_be_converted_is_refused_before_rendering(make_film: MakeFilm) -> None:
    source = make_film("reel.mkv", codec="libx264", tags=(9, 16, 14, 1), frames=2)
    with pytest.raises(SourceError, match="ictcp"):
        api.prepare_run(source, source.with_name("out.mkv"), RESIZE)
    api.run(source, source.with_name("out.mkv"), Recipe(()))  # untouched planes need no matrix


def test_untouched_planes_are_copied(make_film: MakeFilm) -> None:
    """No stage, no conversion: the same samples, whatever the tags, even those no conversion knows."""
    for number, (name, tags) in enumerate(
        [("yuv420p", (2, 2, 2, 0)), ("yuv422p10le", (9, 16, 9, 1)), ("bgr0", (1, 13, 0, 2)), ("gray", (2, 2, 2, 0)),
         ("yuv420p16le", (1, 1, 1, 2)), ("yuv444p12le", (1, 1, 1, 1)), ("gbrp12le", (1, 1, 0, 2)), ("yuv411p", (6, 6, 6, 1))]  # noqa: E501
    ):  # fmt: skip
        pixel, _ = planar_format(name)
        source = make_film(f"reel{number}.mkv", codec="ffv1", pix_fmt=name, tags=tags, frames=3)
        result = restored(source, f"out{number}.mkv", Recipe(()), codec="ffv1")
        for shown, wanted in zip(decode(result), [pattern(pixel, 64, 48, n) for n in range(3)], strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(shown.planes, wanted, strict=True)), name
