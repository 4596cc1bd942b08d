"""OpenEXR, through the OpenEXR package: half and float, every compression in, ZIP out.

FFmpeg decodes OpenEXR too, but shows a file that is cut short as black without a word.
The picture is the display window; overscan outside it and channels other than R G B A or Y are left out.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenEXR  # type: ignore[import-untyped, import-not-found, unused-ignore]

from restore.frames import ColorInfo, PixelFormat
from restore.media.picture_files import Picture
from restore.media.picture_formats import MAX_PIXELS
from restore.media.picture_metadata import PictureMetadata

_LAYOUT = """
    channels chunkCount compression dataWindow displayWindow dwaCompressionLevel lineOrder maxSamplesPerPixel name
    multiView preview screenWindowCenter screenWindowWidth tiles type version view zipCompressionLevel
    framesPerSecond pixelAspectRatio timeCode
"""
"""Attributes that describe how the pixels lie, and those that have a field of their own in `PictureMetadata`."""
_MAGIC = b"\x76\x2f\x31\x01"
_NOT_PLAIN = 0x1A00
"""Version flags of tiled, deep and multi-part files."""
_MAX_DEFLATE = 1100
"""Deflate shrinks to a 1,032nd at best: a chunk said to hold more is damaged, and would only fill the memory."""
_LARGEST_SCAN = 16384 * 8640
_CHUNK_LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
"""Scan lines a chunk, by compression code: none, RLE, ZIPS, ZIP, PIZ, PXR24, B44, B44A, DWAA, DWAB."""
# x and y of red, green, blue and white, by H.273 names.
_CHROMATICITIES = {
    "bt709": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290),
    "bt2020": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    "smpte432": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
}


def read(path: Path) -> Picture:
    """Decode to float32 planes; linear light, as the format demands."""
    _check_chunks(path)
    shown, stored = _sizes(_opened(path, header_only=True).parts[0].header)
    for width, height in (shown, stored):
        if width < 1 or height < 1 or width * height > MAX_PIXELS:
            raise ValueError(f"a picture of {width}x{height}; at most {MAX_PIXELS} pixels are read")
    if shown[0] * shown[1] > _LARGEST_SCAN and shown[0] * shown[1] > 100 * stored[0] * stored[1]:
        raise ValueError(f"the header is damaged (it shows {shown[0]}x{shown[1]}, and holds {stored[0]}x{stored[1]})")
    return _picture(_opened(path, header_only=False))


def _sizes(header: dict[str, Any]) -> list[tuple[int, int]]:
    """(width, height) of the display window and of the data window."""
    sizes = []
    for name in ("displayWindow", "dataWindow"):
        try:
            (left, top), (right, bottom) = ([int(v) for v in corner] for corner in header[name])
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f"the header is damaged ({name})") from error
        sizes.append((right - left + 1, bottom - top + 1))
    return sizes


def _check_chunks(path: Path) -> None:
    """Raise ValueError if a chunk of a plain scan-line file is not where its table says.

    The package would find out too, but prints to standard output before it raises.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != _MAGIC:
            raise ValueError("not an OpenEXR file")
        try:
            (flags,) = struct.unpack_from("<I", data, 4)
            attributes, table = _attributes(data)
            left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
            lines = _CHUNK_LINES.get(attributes[b"compression"][0])
            if flags & _NOT_PLAIN or lines is None:
                return
            for index in range(-(-(bottom - top + 1) // lines)):
                (offset,) = struct.unpack_from("<Q", data, table + 8 * index)
                line, length = struct.unpack_from("<iI", data, offset)
                shown = min(lines, bottom + 1 - line) * (right + 1 - left)
                implausible = lines in (1, 16) and 2 * shown > _MAX_DEFLATE * length
                if line != top + index * lines or offset + 8 + length > len(data) or implausible:
                    raise ValueError("damaged or cut short")
        except (struct.error, KeyError, IndexError, OverflowError) as error:
            raise ValueError("damaged or cut short") from error


def _attributes(data: mmap.mmap) -> tuple[dict[bytes, bytes], int]:
    """The header's attributes, undecoded, and where it ends."""
    position, attributes = 8, {}
    while data[position] != 0:
        end = data.find(b"\0", position)
        middle = data.find(b"\0", end + 1)
        if end < 0 or middle < 0:
            raise ValueError("damaged or cut short")
        (length,) = struct.unpack_from("<I", data, middle + 1)
        attributes[data[position:end]] = data[middle + 5 : middle + 5 + length]
        position = middle + 5 + length
    return attributes, position + 1


def _picture(file: Any) -> Picture:
    for part in file.parts:
        names = next((n for n in (("G", "B", "R"), ("Y",)) if all(c in part.channels for c in n)), None)
        if names is not None:
            break
    else:
        found = ", ".join(sorted(name for part in file.parts for name in part.channels)) or "none"
        raise ValueError(f"no channels R, G, B or Y (it has: {found})")
    alpha = "A" in part.channels
    channels = [part.channels[name] for name in (*names, *("A" * alpha))]
    if names == ("Y",) and "RY" in part.channels:
        raise ValueError("luminance and chroma channels are not supported; save it as R, G, B")
    if any(c.xSampling != 1 or c.ySampling != 1 or c.pixels.dtype.kind != "f" for c in channels):
        raise ValueError("subsampled or integer channels are not supported; save it as half or float R, G, B")
    planes = tuple(_in_display_window(c.pixels, part.header).astype(np.float32) for c in channels)
    half = all(c.pixels.dtype == np.float16 for c in channels)
    pixel = PixelFormat("gray" if names == ("Y",) else "rgb", 32, alpha=alpha)
    return Picture(planes, pixel, _color(part.header, pixel), _metadata(part.header, half, alpha))


def write(path: Path, picture: Picture) -> None:
    """Write float32, or half where its metadata say so; values beyond half's range become infinite."""
    pixel, metadata = picture.pixel, picture.metadata
    names = (("Y",) if pixel.model == "gray" else ("G", "B", "R")) + (("A",) if pixel.alpha else ())
    dtype = np.float16 if metadata.half_float else np.float32
    with np.errstate(over="ignore"):
        channels = {n: np.ascontiguousarray(p, dtype=dtype) for n, p in zip(names, picture.planes, strict=True)}
    header: dict[str, Any] = {k: v for k, v in metadata.exr_attributes.items() if _is_writable(v)}
    header.update(compression=OpenEXR.ZIP_COMPRESSION, type=OpenEXR.scanlineimage)
    header["pixelAspectRatio"] = float(metadata.sample_aspect)
    if metadata.frame_rate is not None:
        header["framesPerSecond"] = metadata.frame_rate
    if metadata.timecode is not None:
        header["timeCode"] = _timecode(metadata.timecode)
    if "chromaticities" not in header and picture.color.primaries in _CHROMATICITIES:
        header["chromaticities"] = _CHROMATICITIES[picture.color.primaries]
    OpenEXR.File(header, channels).write(str(path))


def _opened(path: Path, header_only: bool) -> Any:
    try:
        file = OpenEXR.File(str(path), separate_channels=True, header_only=header_only)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise ValueError(f"damaged, cut short or not OpenEXR ({error})") from error
    if not file.parts:
        raise ValueError("damaged or cut short")
    return file


def _in_display_window(pixels: npt.NDArray[Any], header: dict[str, Any]) -> npt.NDArray[Any]:
    """Crop overscan; where the data window is smaller there is nothing: zero."""
    (dx0, dy0), _ = (tuple(int(v) for v in corner) for corner in header["dataWindow"])
    (x0, y0), (x1, y1) = (tuple(int(v) for v in corner) for corner in header["displayWindow"])
    height, width = pixels.shape
    if (dx0, dy0, width, height) == (x0, y0, x1 - x0 + 1, y1 - y0 + 1):
        return pixels
    shown = np.zeros((y1 - y0 + 1, x1 - x0 + 1), pixels.dtype)
    top, left = max(y0, dy0), max(x0, dx0)
    bottom, right = min(y1 + 1, dy0 + height), min(x1 + 1, dx0 + width)
    if top < bottom and left < right:
        shown[top - y0 : bottom - y0, left - x0 : right - x0] = pixels[
            top - dy0 : bottom - dy0, left - dx0 : right - dx0
        ]
    return shown


def _color(header: dict[str, Any], pixel: PixelFormat) -> ColorInfo:
    matrix = "gbr" if pixel.model == "rgb" else "bt709"
    given = header.get("chromaticities")
    if given is not None:
        for name, values in _CHROMATICITIES.items():
            if np.allclose(np.ravel(given), values, atol=1e-3):
                return ColorInfo(name, "linear", matrix, "full", "center")
    return ColorInfo("bt709", "linear", matrix, "full", "center", frozenset({"primaries"}))


def _metadata(header: dict[str, Any], half: bool, alpha: bool) -> PictureMetadata:
    rate = header.get("framesPerSecond")
    kept = {k: v for k, v in header.items() if k not in _LAYOUT.split() and _is_writable(v)}
    code = header.get("timeCode")
    metadata = PictureMetadata(
        sample_aspect=Fraction(float(header.get("pixelAspectRatio", 1.0))).limit_denominator(10000) or Fraction(1),
        half_float=half,
        premultiplied=alpha,
        exr_attributes=MappingProxyType(kept),
    )
    if isinstance(rate, Fraction) and rate > 0:
        metadata = replace(metadata, frame_rate=rate)
    if code is not None:
        separator = ";" if code.dropFrame else ":"
        text = f"{code.hours:02}:{code.minutes:02}:{code.seconds:02}{separator}{code.frame:02}"
        metadata = replace(metadata, timecode=text)
    return metadata


def _timecode(text: str) -> Any:
    hours, minutes, seconds, frame = (int(part) for part in text.replace(";", ":").split(":"))
    return OpenEXR.TimeCode(hours, minutes, seconds, frame, ";" in text, *([False] * 5), *([0] * 8))


def _is_writable(value: object) -> bool:
    """Attribute types the package writes back as it read them."""
    plain = isinstance(value, (str, int, float, Fraction, OpenEXR.TimeCode, OpenEXR.KeyCode, np.ndarray))
    return plain or (isinstance(value, tuple) and all(isinstance(v, float) for v in value))
