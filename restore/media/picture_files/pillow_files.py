"""JPEG and WebP, through Pillow; a JPEG's own luma and chroma planes through FFmpeg.

A JPEG is read as it is coded (YCbCr, 4:2:0 as often as not, full range, BT.601 after JFIF 1.02), so nothing is
resampled or rounded before the first stage. FFmpeg's inverse DCT agrees with libjpeg's to within one level.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from restore.frames import ColorInfo, PixelFormat, Planes
from restore.media.picture_files import Picture, srgb_for
from restore.media.picture_files.planes import decode_picture, interleaved, planes_of, split_channels
from restore.media.picture_formats import MAX_PIXELS
from restore.media.picture_metadata import PictureMetadata, exif_for, exif_orientation, fitting_profile

JPEG_COLOR = ColorInfo("bt709", "iec61966-2-1", "smpte170m", "full", "center", frozenset({"primaries", "transfer"}))
"""JFIF: BT.601's matrix, full range, chroma between the samples; sRGB's primaries and transfer by custom."""
_limit = threading.Lock()


@contextmanager
def open_with_pillow(data: bytes) -> Iterator[Image.Image]:
    """Open lazily under our own limit: Pillow's calls a film scan of 16384 x 8640 a decompression bomb."""
    with _limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS
        try:
            image = Image.open(io.BytesIO(data))
        except UnidentifiedImageError as error:
            raise ValueError("not a picture of the kind its name says") from error
        except Image.DecompressionBombError as error:
            raise ValueError(f"more than {MAX_PIXELS} pixels") from error
        finally:
            Image.MAX_IMAGE_PIXELS = before
    with image:
        yield image


def size(data: bytes) -> tuple[int, int]:
    """(width, height) from the header."""
    with open_with_pillow(data) as image:
        return image.size


def read_jpeg(data: bytes) -> Picture:
    """Decode to the planes the file codes: gray, YCbCr, or RGB where it says so."""
    with open_with_pillow(data) as image:
        _expect(image, "JPEG", "MPO")
        if image.mode == "CMYK":
            raise ValueError("a CMYK picture; convert it to RGB through its profile first")
        metadata = _metadata(image)
        try:
            planes, pixel = planes_of(decode_picture(data, "mjpeg", {"err_detect": "explode"}))
            if planes[0].shape != (image.height, image.width) or pixel.depth != 8 or pixel.alpha:
                raise ValueError("not as libjpeg sees it")
        except ValueError:
            # libjpeg knows what is merely odd from what is damaged, and stops at the latter.
            array = _pixels(image)
            planes, pixel = _split(array)
    color = JPEG_COLOR if pixel.model == "yuv" else srgb_for(pixel)
    return Picture(planes, pixel, color, metadata)


def read_webp(data: bytes) -> Picture:
    """Decode to RGB, with alpha where there is some."""
    with open_with_pillow(data) as image:
        _expect(image, "WEBP")
        if getattr(image, "is_animated", False):
            raise ValueError("an animated WebP; convert it to a video or a numbered sequence first")
        planes, pixel = _split(_pixels(image))
        return Picture(planes, pixel, srgb_for(pixel), _metadata(image))


def encode_jpeg(picture: Picture, quality: int) -> bytes:
    """The file; 8-bit gray, RGB, or full-range BT.601 YCbCr, whose subsampling is kept."""
    planes, pixel, metadata = picture.planes, picture.pixel, picture.metadata
    image, options = _jpeg_image(planes, pixel)
    options.update(_described(metadata, pixel.model == "gray", image.width, image.height))
    comment = next((text for keyword, text in metadata.text if keyword == "Comment"), None)
    if comment is not None:
        options["comment"] = comment
    if metadata.dpi is not None:
        options["dpi"] = tuple(round(value) for value in metadata.dpi)
    return _saved(image, "JPEG", quality=quality, optimize=image.width * image.height < 2**25, **options)


def encode_webp(picture: Picture, quality: int) -> bytes:
    """The file; 8-bit RGB with or without alpha, or gray (stored as RGB). Quality 100 is lossless."""
    planes = picture.planes
    if len(planes) < 3:
        planes = (planes[0], planes[0], planes[0], *planes[1:])
    image = Image.fromarray(interleaved(planes))
    options = _described(picture.metadata, False, image.width, image.height)
    return _saved(image, "WEBP", quality=quality, lossless=quality == 100, exact=True, **options)


def read_plain(data: bytes) -> tuple[Planes, PixelFormat]:
    """The pixels of any file Pillow holds in 8 bits a sample, as gray or RGB; ValueError for others."""
    with open_with_pillow(data) as image:
        return _split(_pixels(image))


def _expect(image: Image.Image, *formats: str) -> None:
    if image.format not in formats:
        raise ValueError(f"its contents are {image.format}; give it the suffix of that")


def _pixels(image: Image.Image) -> npt.NDArray[Any]:
    mode = {"1": "L", "P": "RGBA" if "transparency" in image.info else "RGB"}.get(image.mode, image.mode)
    if mode not in ("L", "LA", "RGB", "RGBA"):
        raise ValueError(f"pixels of the kind {mode} are not supported; convert to gray or RGB first")
    try:
        return np.asarray(image.convert(mode) if mode != image.mode else image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f"damaged or cut short ({error})") from error


def _split(array: npt.NDArray[Any]) -> tuple[Planes, PixelFormat]:
    if array.ndim == 2:
        return (np.ascontiguousarray(array),), PixelFormat("gray", 8)
    channels = {2: "YA", 3: "RGB", 4: "RGBA"}[array.shape[2]]
    pixel = PixelFormat("gray" if channels == "YA" else "rgb", 8, alpha="A" in channels)
    return split_channels(array, channels), pixel


def _metadata(image: Image.Image) -> PictureMetadata:
    info = image.info
    exif = info.get("exif")
    block = exif.removeprefix(b"Exif\0\0") if isinstance(exif, bytes) and exif else None
    dpi = info.get("dpi")
    xmp = info.get("xmp")
    comment = info.get("comment")
    return PictureMetadata(
        exif=block,
        icc=info.get("icc_profile") or None,
        xmp=xmp if isinstance(xmp, bytes) else None,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and dpi[0] > 0 and dpi[1] > 0 else None,
        orientation=exif_orientation(block),
        text=(("Comment", comment.decode("utf-8", "replace")),) if isinstance(comment, bytes) else (),
    )


def _described(metadata: PictureMetadata, gray: bool, width: int, height: int) -> dict[str, Any]:
    options: dict[str, Any] = {}
    exif = exif_for(metadata, width, height)
    if exif is not None and len(exif) < 65500:
        options["exif"] = b"Exif\0\0" + exif
    icc = fitting_profile(metadata.icc, gray)
    if icc is not None:
        options["icc_profile"] = icc
    if metadata.xmp is not None and len(metadata.xmp) < 65500:
        options["xmp"] = metadata.xmp
    return options


def _jpeg_image(planes: Planes, pixel: PixelFormat) -> tuple[Image.Image, dict[str, Any]]:
    if pixel.model == "gray":
        return Image.fromarray(planes[0]), {}
    if pixel.model == "rgb":
        return Image.fromarray(interleaved(planes)), {"subsampling": 0}
    height, width = planes[0].shape
    sx, sy = pixel.chroma_shift
    subsampling = {(0, 0): 0, (1, 0): 1, (1, 1): 2}.get((sx, sy))
    # libjpeg averages equal neighbours to themselves: repeated samples come out as they went in.
    chroma = [p.repeat(1 << sy, axis=0).repeat(1 << sx, axis=1)[:height, :width] for p in planes[1:]]
    merged = Image.merge("YCbCr", [Image.fromarray(np.ascontiguousarray(p)) for p in (planes[0], *chroma)])
    return merged, {"subsampling": 0 if subsampling is None else subsampling}


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
