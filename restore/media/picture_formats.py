"""Which picture files there are and what each can hold. No torch here: the command line asks before anything loads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from restore.errors import FormatError

MAX_PIXELS = 2**30
"""Larger pictures are refused before decoding; the largest film scan, 16384 x 8640, is an eighth of it."""


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What one kind of picture file can hold. Depths are bits a sample; 32 is float."""

    name: str
    depths: tuple[int, ...]
    alpha: bool
    gray: bool
    """Grey is stored as one channel; otherwise it is written as three equal ones."""
    orientation: bool
    """It has a tag for the orientation (EXIF); otherwise the pixels must be turned."""
    icc: bool
    lossless: bool
    max_side: int


_PNG = PictureFormat(
    "PNG", (8, 16), alpha=True, gray=True, orientation=True, icc=True, lossless=True, max_side=2**31 - 1
)
_TIFF = PictureFormat(
    "TIFF", (8, 16, 32), alpha=True, gray=True, orientation=True, icc=True, lossless=True, max_side=2**31 - 1
)
_JPEG = PictureFormat("JPEG", (8,), alpha=False, gray=True, orientation=True, icc=True, lossless=False, max_side=65500)
_WEBP = PictureFormat("WebP", (8,), alpha=True, gray=False, orientation=True, icc=True, lossless=False, max_side=16383)
_DPX = PictureFormat(
    "DPX", (8, 10, 12, 16), alpha=True, gray=True, orientation=False, icc=False, lossless=True, max_side=2**31 - 1
)
_EXR = PictureFormat(
    "OpenEXR", (32,), alpha=True, gray=True, orientation=False, icc=False, lossless=True, max_side=2**31 - 1
)

PICTURE_FORMATS: dict[str, PictureFormat] = {
    ".png": _PNG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": _WEBP,
    ".dpx": _DPX,
    ".exr": _EXR,
}
"""By suffix, lower case."""


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of a single picture (by its suffix; the file need not exist)."""
    return Path(path).suffix.lower() in PICTURE_FORMATS


def picture_format(path: str | os.PathLike[str]) -> PictureFormat:
    """What a file of this name can hold; raises FormatError for a name that is no picture's."""
    suffix = Path(path).suffix.lower()
    if suffix not in PICTURE_FORMATS:
        known = " ".join(PICTURE_FORMATS)
        raise FormatError(
            f"{path}: {suffix or 'no suffix'} is not a kind of picture restore writes; use one of {known}"
        )
    return PICTURE_FORMATS[suffix]


def stored_depth(name: str | os.PathLike[str], depth: int, alpha: bool = False) -> int:
    """Bits a sample that a picture of `depth` bits gets in a file of this name: the least that loses nothing.

    Where nothing holds it (16 bits or float into a JPEG, float into a PNG) the deepest there is. Raises
    FormatError where the file cannot hold alpha.
    """
    kind = picture_format(name)
    if alpha and not kind.alpha:
        raise FormatError(f"{name}: {kind.name} has no alpha channel; write .png, .tif or .exr instead")
    depths = [d for d in kind.depths if not (alpha and kind is _DPX and d in (10, 12))]
    return next((d for d in depths if d >= depth), depths[-1])


def check_picture_size(name: str | os.PathLike[str], width: int, height: int) -> None:
    """Raise FormatError if a picture of that size does not fit in a file of this name."""
    kind = picture_format(name)
    if max(width, height) > kind.max_side or width * height > MAX_PIXELS:
        raise FormatError(
            f"{name}: {width}x{height} is too large for {kind.name} here (at most {kind.max_side} a side, "
            f"{MAX_PIXELS} pixels); write .tif or .png, or a smaller picture"
        )
