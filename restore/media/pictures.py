"""Single pictures: read to native planes with all that stood beside them, written whole or not at all.

A picture is a film of one frame: `PictureSource` gives it the interface every source has.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from restore.errors import DiskFullError, FormatError, OutputError, RestoreError, SourceError, SourceNotFoundError
from restore.frames import ColorInfo, Frame, PixelFormat, Planes, VideoFormat
from restore.media.picture_files import SRGB, SRGB_GRAY, Picture, dpx, exr, pillow_files, png, tiff
from restore.media.picture_files.dpx import CINEON_LOG
from restore.media.picture_files.pillow_files import JPEG_COLOR
from restore.media.picture_formats import (
    MAX_PIXELS,
    check_picture_size,
    is_picture,
    picture_format,
    stored_depth,
)
from restore.media.picture_metadata import PictureMetadata

__all__ = [
    "CINEON_LOG",
    "Picture",
    "PictureMetadata",
    "PictureSource",
    "is_picture",
    "output_format",
    "read_picture",
    "upright",
    "write_picture",
]

_MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"RIFF": "WebP",
    b"SDPX": "DPX",
    b"XPDS": "DPX",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_Sizes = Callable[[bytes], tuple[int, int]]
_Reader = Callable[[bytes], Picture]
_READERS: dict[str, tuple[_Sizes, _Reader]] = {
    "PNG": (png.size, png.read),
    "TIFF": (tiff.size, tiff.read),
    "JPEG": (pillow_files.size, pillow_files.read_jpeg),
    "WebP": (pillow_files.size, pillow_files.read_webp),
    "DPX": (dpx.size, dpx.read),
}


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read one picture: planes as the file codes them, nothing converted, the orientation left to its tag.

    8 to 16 bits or float; gray, RGB or (JPEG, some DPX) YCbCr, with alpha where there is one. Palettes are
    expanded, 1, 2 and 4 bits scaled to 8. What the file is, its first bytes say, not its name.
    Raises SourceNotFoundError, or SourceError with the reason.
    """
    path = Path(path)
    try:
        kind = _kind(_check_file(path))
        if kind == "OpenEXR":
            return exr.read(path)
        data = path.read_bytes()
        measure, read = _READERS[kind]
        width, height = measure(data)
        if width < 1 or height < 1 or width * height > MAX_PIXELS:
            raise ValueError(f"a picture of {width}x{height}; at most {MAX_PIXELS} pixels are read")
        return read(data)
    except RestoreError:
        raise
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise SourceError(f"{path}: {' '.join(str(error).split())}") from error
    except Exception as error:  # Libraries raise whatever damaged bytes make them stumble over.
        raise SourceError(f"{path}: damaged, or too large ({' '.join(f'{error}'.split())})") from error


def write_picture(
    path: str | os.PathLike[str],
    planes: Planes,
    pixel: PixelFormat,
    color: ColorInfo,
    metadata: PictureMetadata | None = None,
    *,
    quality: int = 95,
) -> None:
    """Write one picture, by the suffix of its name; a `.part` beside it is renamed when it is whole.

    `planes`, `pixel` and `color` must be what `output_format` names for that suffix (or another the file can
    hold: a FormatError says what it cannot). `quality` is for JPEG and WebP (100: lossless WebP).
    Raises FormatError before anything is written, OutputError or DiskFullError when writing fails.
    """
    path = Path(path)
    metadata = metadata or PictureMetadata()
    kind = picture_format(path).name
    picture = Picture(planes, pixel, color, metadata)
    check_picture_size(path, picture.width, picture.height)
    check_samples(path, pixel)
    if not picture_format(path).orientation:
        picture = upright(picture)
    picture.planes = _matching_alpha(picture, kind)
    part = path.with_name(path.name + ".part")
    try:
        if kind == "OpenEXR":
            _check_writable(part)
            exr.write(part, picture)
        else:
            part.write_bytes(_encoded(kind, picture, quality))
        _synced(part)
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise DiskFullError(f"{path}: the disk is full") from error
        raise OutputError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from error


def output_format(
    name: str | os.PathLike[str], pixel: PixelFormat, color: ColorInfo, depth: int | None = None
) -> tuple[PixelFormat, ColorInfo]:
    """The layout and colours a picture of `pixel` and `color` takes in a file of this name.

    The least depth that loses nothing (or `depth`, where the file holds it), gray left gray, alpha kept.
    JPEG: 8-bit full-range BT.601 4:4:4. OpenEXR: linear light. All others: RGB with the source's own
    primaries and transfer, so YCbCr is only decoded. Raises FormatError where it cannot be (alpha in a JPEG).
    """
    kind = picture_format(name)
    wanted = stored_depth(name, depth or pixel.depth, pixel.alpha)
    if depth is not None and wanted != depth:
        held = ", ".join("float" if d == 32 else str(d) for d in kind.depths)
        raise FormatError(f"{name}: {kind.name} holds {held} bits a sample here, not {depth}")
    if kind.name == "DPX" and pixel.model == "gray" and wanted in (10, 12):
        wanted = 16
    gray = pixel.model == "gray" and kind.gray
    colors = SRGB_GRAY if gray else SRGB
    transfer = "linear" if kind.name == "OpenEXR" else color.transfer
    colors = replace(colors, primaries=color.primaries, transfer=transfer, assumed=color.assumed - {"matrix", "range"})
    if kind.name == "JPEG" and not gray:
        return PixelFormat("yuv", 8), replace(JPEG_COLOR, primaries=color.primaries, transfer=color.transfer)
    return PixelFormat("gray" if gray else "rgb", wanted, alpha=pixel.alpha), colors


def upright(picture: Picture) -> Picture:
    """The same picture with its pixels turned as its orientation says, and the orientation reset."""
    if picture.metadata.orientation == 1:
        return picture
    planes, pixel = _turned(picture.planes, picture.pixel, picture.metadata.orientation)
    return Picture(planes, pixel, picture.color, replace(picture.metadata, orientation=1))


class PictureSource:
    """A single picture as a film of one frame, at one frame a second. A context manager."""

    def __init__(self, path: str | os.PathLike[str], *, turn: bool = False) -> None:
        """Read the picture; with `turn`, turn its pixels upright (for outputs that have no orientation tag)."""
        self.decode_errors = 0
        self.mended = False
        self.threads = 1
        self.watched = False
        self.lost: Sequence[int] = ()
        self.path = Path(path)
        picture = read_picture(path)
        self.picture = upright(picture) if turn else picture
        self.metadata = self.picture.metadata
        self.format = VideoFormat(
            width=self.picture.width,
            height=self.picture.height,
            pixel=self.picture.pixel,
            color=self.picture.color,
            time_base=Fraction(1),
            frame_rate=Fraction(1),
            sample_aspect=self.metadata.sample_aspect,
        )

    def frames(self, start_pts: int | None = None) -> Iterator[Frame]:
        """The one frame, unless `start_pts` lies behind it."""
        if start_pts is None or start_pts <= 0:
            yield Frame(pts=0, planes=self.picture.planes, key=True, duration=1)

    def use_index(self, key_pts: Sequence[int], seekable: bool) -> None:
        """See `Source.use_index`: there is nothing to seek."""

    def __len__(self) -> int:
        return 1

    def identity(self) -> list[tuple[str, int, int]]:
        """(name, size, modification time in ns) of each file, for the job's hash of its source."""
        status = self.path.stat()
        return [(self.path.name, status.st_size, status.st_mtime_ns)]

    def close(self) -> None:
        """Nothing stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _kind(path: Path) -> str:
    """What the file is by its first bytes: names lie, above all those of photographs that were sent around."""
    with path.open("rb") as file:
        head = file.read(4)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    raise ValueError("not a picture of a kind restore reads: PNG, TIFF, JPEG, WebP, DPX or OpenEXR")


def _check_file(path: Path) -> Path:
    if not path.exists():
        raise SourceNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise SourceError(f"{path}: is a folder, not a picture")
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    return path


def check_samples(path: Path, pixel: PixelFormat) -> None:
    """Raise FormatError, naming an alternative, where a file of that name cannot hold such samples."""
    kind = picture_format(path)
    if pixel.alpha and not kind.alpha:
        raise FormatError(f"{path}: {kind.name} has no alpha channel; write .png, .tif or .exr instead")
    held = kind.depths
    if kind.name == "DPX" and (pixel.model == "gray" or pixel.alpha):
        held = (8, 16)
    if pixel.depth not in held or (kind.name == "DPX" and pixel.model == "gray" and pixel.alpha):
        depth = "float" if pixel.is_float else f"{pixel.depth}-bit"
        better = {32: ".exr or .tif"}.get(pixel.depth, ".png or .tif with 16 bits")
        raise FormatError(f"{path}: {kind.name} cannot hold {depth} samples as {pixel.name}; write {better}")
    if pixel.model == "yuv" and kind.name != "JPEG":
        raise FormatError(f"{path}: {kind.name} holds gray or RGB, not {pixel.name}; convert to RGB first")


def _encoded(kind: str, picture: Picture, quality: int) -> bytes:
    if kind == "JPEG":
        return pillow_files.encode_jpeg(picture, quality)
    if kind == "WebP":
        return pillow_files.encode_webp(picture, quality)
    return {"PNG": png.encode, "TIFF": tiff.encode, "DPX": dpx.encode}[kind](picture)


def _turned(planes: Planes, pixel: PixelFormat, orientation: int) -> tuple[Planes, PixelFormat]:
    """Turn the planes as EXIF's orientation 2 to 8 asks."""
    # Rows mirrored, columns mirrored, then transposed.
    columns, rows, swap = {
        2: (True, False, False),
        3: (True, True, False),
        4: (False, True, False),
        5: (False, False, True),
        6: (False, True, True),
        7: (True, True, True),
        8: (True, False, True),
    }[orientation]
    turned = []
    for plane in planes:
        view = plane[::-1] if rows else plane
        view = view[:, ::-1] if columns else view
        turned.append(np.ascontiguousarray(view.T if swap else view))
    sx, sy = pixel.chroma_shift
    return tuple(turned), replace(pixel, chroma_shift=(sy, sx)) if swap else pixel


def _matching_alpha(picture: Picture, kind: str) -> Planes:
    """Multiply colours by alpha for OpenEXR, divide for the formats that store them apart. TIFF says which it has."""
    planes, pixel = picture.planes, picture.pixel
    if not pixel.alpha or kind == "TIFF" or picture.metadata.premultiplied == (kind == "OpenEXR"):
        return planes
    top = 1.0 if pixel.is_float else float(2**pixel.depth - 1)
    alpha = planes[-1].astype(np.float32) / top
    factor = alpha if kind == "OpenEXR" else np.divide(1.0, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    colors = [p.astype(np.float32) * factor for p in planes[:-1]]
    if pixel.is_float:
        return (*colors, planes[-1])
    return (*(np.clip(np.rint(c), 0, top).astype(pixel.dtype) for c in colors), planes[-1])


def _check_writable(part: Path) -> None:
    """OpenEXR's own message for a file it cannot create says nothing; ours does."""
    with part.open("wb"):
        pass


def _synced(part: Path) -> None:
    with part.open("rb+") as file:
        os.fsync(file.fileno())
