"""TIFF of 1, 8, 16 bits and float, through tifffile; compressions it lacks through Pillow and OpenCV (libtiff).

Written with deflate and the horizontal predictor, little-endian, one page. After TIFF 6.0 and its Adobe notes.
"""

from __future__ import annotations

import io
import logging
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from restore.frames import PixelFormat, Planes
from restore.media.picture_files import Picture, srgb_for
from restore.media.picture_files.pillow_files import read_plain
from restore.media.picture_files.planes import interleaved, split_channels
from restore.media.picture_metadata import (
    LONG,
    ORIENTATION_TAG,
    PictureMetadata,
    exif_for,
    fitting_profile,
    with_entries,
)

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_XMP, _ICC = 700, 34675
_LEVEL = 3
"""Of deflate: four times as fast as the usual 6 for files a twentieth larger."""
# Directory entries that describe the picture rather than how its samples lie: all text.
_DESCRIPTIVE = (269, 270, 271, 272, 305, 306, 315, 316, 33432)
_LITTLE_ENDIAN = b"II*\0\x08\0\0\0"

# What it warns of in damaged files is in the error raised, or does no harm; without a handler it would go to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def size(data: bytes) -> tuple[int, int]:
    """(width, height) of the first page."""
    with _opened(data) as file:
        page = file.pages[0]
        return int(page.imagewidth), int(page.imagelength)


def read(data: bytes) -> Picture:
    """Decode the first page."""
    with _opened(data) as file:
        page = file.pages[0]
        photometric = int(page.photometric)
        if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
            kind = getattr(page.photometric, "name", photometric)
            raise ValueError(f"a {kind} TIFF; convert it to gray or RGB through its profile first")
        array = None if photometric in (_PALETTE, _YCBCR) else _samples(data, page)
        # Pillow, where tifffile cannot, expands palettes, inverts and takes alpha out itself.
        planes, pixel = read_plain(data) if array is None else _split(array, page, photometric)
        premultiplied = array is not None and 1 in tuple(int(e) for e in page.extrasamples)
        metadata = _metadata(data, file, page, premultiplied)
    return Picture(planes, pixel, srgb_for(pixel), metadata)


def encode(picture: Picture) -> bytes:
    """The file, losslessly; gray or RGB of 8, 16 bits or float, with or without alpha."""
    pixel, metadata = picture.pixel, picture.metadata
    array = interleaved(picture.planes)
    height, width = array.shape[:2]
    exif = exif_for(metadata, width, height)
    extra: list[tuple[int, int | str, int, Any, bool]] = [(ORIENTATION_TAG, "H", 1, metadata.orientation, True)]
    if metadata.xmp is not None:
        extra.append((_XMP, "B", len(metadata.xmp), metadata.xmp, True))
    blocks = _sub_directories(exif, extra)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        array,
        byteorder="<",
        photometric="rgb" if pixel.model == "rgb" else "minisblack",
        planarconfig="contig" if array.ndim == 3 else None,
        extrasamples=(["assocalpha" if metadata.premultiplied else "unassalpha"] if pixel.alpha else None),
        compression="zlib",
        compressionargs={"level": _LEVEL},
        predictor=not pixel.is_float,
        iccprofile=fitting_profile(metadata.icc, pixel.model == "gray"),
        resolution=metadata.dpi,
        resolutionunit="inch" if metadata.dpi is not None else None,
        software=False,
        metadata=None,
        extratags=extra,
    )
    return _with_sub_directories(buffer.getvalue(), blocks)


def _opened(data: bytes) -> tifffile.TiffFile:
    try:
        file = tifffile.TiffFile(io.BytesIO(data))
        _ = file.pages[0].imagewidth
    except Exception as error:  # tifffile raises whatever the bytes made it stumble over
        raise ValueError(f"not a TIFF file, or a damaged one ({error})") from error
    return file


def _samples(data: bytes, page: tifffile.TiffPage) -> npt.NDArray[Any] | None:
    """The samples as stored, (H, W, C); None where they are for Pillow to decode."""
    bits = {int(b) for b in np.atleast_1d(page.bitspersample)}
    if bits - {1, 2, 4, 8, 16, 32, 64}:
        names = "/".join(str(b) for b in sorted(bits))
        raise ValueError(f"samples of {names} bits packed without padding are not supported; save it with 16 bits")
    try:
        return _channels_last(page.asarray(), page)
    except Exception as error:  # tifffile raises whatever the bytes made it stumble over
        if "imagecodecs" not in str(error):
            raise ValueError(f"damaged or cut short ({error})") from error
    return None if max(bits) <= 8 else _channels_last(_with_opencv(data, page), page)


def _with_opencv(data: bytes, page: tifffile.TiffPage) -> npt.NDArray[Any]:
    """Deep samples in a compression of libtiff's that tifffile has no decoder for (LZW above all)."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        # Planes stored apart come out of OpenCV wrong, without a word.
        separate = int(page.planarconfig) == 2 and int(page.samplesperpixel) > 1
        array = None if separate else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if array is None or array.dtype != page.dtype or array.shape[:2] != (page.imagelength, page.imagewidth):
        name = getattr(page.compression, "name", page.compression)
        raise ValueError(f"damaged, or its {name} compression is not supported; save it with deflate or LZW")
    if array.ndim == 3:
        array = array[..., [2, 1, 0, *range(3, array.shape[2])]]
    return np.asarray(array)


def _channels_last(array: npt.NDArray[Any], page: tifffile.TiffPage) -> npt.NDArray[Any]:
    height, width, samples = int(page.imagelength), int(page.imagewidth), int(page.samplesperpixel)
    if array.size != height * width * samples:
        raise ValueError("a TIFF with depth is not a picture")
    if int(page.planarconfig) == 2 and samples > 1 and array.shape != (height, width, samples):
        return np.moveaxis(array.reshape(samples, height, width), 0, -1)
    return array.reshape(height, width, samples)


def _split(array: npt.NDArray[Any], page: tifffile.TiffPage, photometric: int) -> tuple[Planes, PixelFormat]:
    colors = 3 if photometric == _RGB else 1
    extra = array.shape[2] - colors
    if extra not in (0, 1):
        raise ValueError(f"{array.shape[2]} channels; only gray or RGB, with or without alpha, are supported")
    bits = int(np.atleast_1d(page.bitspersample)[0])
    if array.dtype == np.bool_ or bits in (2, 4):
        array = (array.astype(np.uint16) * 255 // (2**bits - 1)).astype(np.uint8)
    elif array.dtype.kind == "f":
        array = array.astype(np.float32)
    elif array.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise ValueError(f"samples of type {array.dtype} are not supported; save it with 16 bits or float")
    if photometric == _WHITE_IS_ZERO:
        top = 1.0 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
        array = np.concatenate([(top - array[..., :1]).astype(array.dtype), array[..., 1:]], axis=2)
    channels = ("RGB" if colors == 3 else "Y") + "A" * extra
    depth = 8 * array.dtype.itemsize
    return split_channels(array, channels), PixelFormat("rgb" if colors == 3 else "gray", depth, alpha=bool(extra))


def _metadata(data: bytes, file: tifffile.TiffFile, page: tifffile.TiffPage, premultiplied: bool) -> PictureMetadata:
    def value(tag: int) -> Any:
        return page.tags[tag].value if tag in page.tags else None

    orientation = value(ORIENTATION_TAG)
    xmp = value(_XMP)
    return PictureMetadata(
        exif=None if file.is_bigtiff else _exif(data),
        icc=value(_ICC),
        xmp=bytes(xmp) if isinstance(xmp, (bytes, tuple)) else (xmp.encode() if isinstance(xmp, str) else None),
        dpi=_dpi(value(282), value(283), value(296)),
        orientation=int(orientation) if orientation is not None and 1 <= int(orientation) <= 8 else 1,
        premultiplied=premultiplied,
        half_float=page.dtype == np.float16,
        pages=len(file.pages),
    )


def _dpi(x: tuple[int, int] | None, y: tuple[int, int] | None, unit: int | None) -> tuple[float, float] | None:
    scale = {None: 1.0, 2: 1.0, 3: 2.54}.get(unit)
    if scale is None or not x or not y or 0 in (*x, *y):
        return None
    return round(x[0] / x[1] * scale, 2), round(y[0] / y[1] * scale, 2)


def _exif(data: bytes) -> bytes | None:
    """An EXIF block of the descriptive entries and the EXIF and GPS directories of a TIFF file."""
    try:
        source, kept = Image.Exif(), Image.Exif()
        source.load_from_fp(io.BytesIO(data))
        for tag in (*_DESCRIPTIVE, ORIENTATION_TAG):
            if tag in source:
                kept[tag] = source[tag]
        for tag in (_EXIF_IFD, _GPS_IFD):
            kept.get_ifd(tag).update(source.get_ifd(tag))
        if set(kept) <= {ORIENTATION_TAG} and not any(kept.get_ifd(tag) for tag in (_EXIF_IFD, _GPS_IFD)):
            return None
        return kept.tobytes().removeprefix(b"Exif\0\0")
    except Exception:  # Pillow raises anything on entries it cannot make sense of; the picture is still good.
        return None


def _sub_directories(exif: bytes | None, extra: list[tuple[int, int | str, int, Any, bool]]) -> dict[int, Any]:
    """Put the block's descriptive entries into `extra`; return its EXIF and GPS directories."""
    if exif is None:
        return {}
    block = Image.Exif()
    blocks: dict[int, Any] = {}
    try:
        block.load(exif)
        for tag in _DESCRIPTIVE:
            text = block.get(tag)
            if isinstance(text, str) and text:
                extra.append((tag, "s", 0, text.encode("ascii", "replace"), True))
        for tag in (_EXIF_IFD, _GPS_IFD):
            if directory := block.get_ifd(tag):
                blocks[tag] = directory
    except Exception:  # as above
        return blocks
    return blocks


def _with_sub_directories(data: bytes, blocks: dict[int, Any]) -> bytes:
    """Append the EXIF and GPS directories, which tifffile does not write, and name them in the main one."""
    if not blocks or data[2:4] != b"*\0":  # BigTIFF has another layout; a picture over 4 GB goes without
        return data
    pointers = []
    grown = bytearray(data)
    for tag, values in blocks.items():
        grown += bytes(len(grown) % 2)
        directory = ImageFileDirectory_v2(ifh=_LITTLE_ENDIAN, group=tag)
        for key, value in values.items():
            directory[key] = value
        pointers.append((tag, LONG, len(grown)))
        grown += directory.tobytes(len(grown))
    return with_entries(bytes(grown), pointers)
