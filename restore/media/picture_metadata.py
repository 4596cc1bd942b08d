"""What a picture file says beside its pixels: EXIF, profile, resolution, orientation, scanner and film facts."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType

ORIENTATION_TAG = 0x0112
_EXIF_IFD_TAG = 0x8769
_WIDTH_TAGS = frozenset({0x0100, 0xA002})
_HEIGHT_TAGS = frozenset({0x0101, 0xA003})
_SHORT, LONG = 3, 4
_EMPTY = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202


@dataclass(frozen=True, slots=True)
class PictureMetadata:
    """Everything worth keeping of a picture file beside its pixels. Empty values mean: the file has none."""

    exif: bytes | None = None
    """A TIFF structure (``II*`` or ``MM`` first), without the ``Exif`` prefix JPEG puts before it."""
    icc: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    orientation: int = 1
    """EXIF's 1 to 8. Pixels are as stored, not turned; this field wins over the tag inside `exif`."""
    text: tuple[tuple[str, str], ...] = ()
    """PNG text and the JPEG comment: keyword and text, in the file's order."""
    sample_aspect: Fraction = Fraction(1)
    frame_rate: Fraction | None = None
    timecode: str | None = None
    frame_position: int | None = None
    """DPX: which frame of its film the picture is."""
    dpx_header: bytes | None = None
    """The first 2,048 bytes of the DPX file, as they stood."""
    exr_attributes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """OpenEXR attributes other than those that describe the pixels' layout."""
    half_float: bool = False
    """Float samples were stored in 16 bits (OpenEXR's half), and are written so."""
    premultiplied: bool = False
    """Colours are already multiplied by alpha (OpenEXR, TIFF's associated alpha)."""
    pages: int = 1
    """How many pictures the file holds; only the first is read."""

    def without_color(self) -> PictureMetadata:
        """The same without the ICC profile: for pixels converted to another colour space."""
        return replace(self, icc=None)


def fitting_profile(icc: bytes | None, gray: bool) -> bytes | None:
    """The profile, unless it is for another kind of pixels (a grey profile on RGB would be refused or misread)."""
    if icc is None or len(icc) < 128:
        return None
    return icc if icc[16:20] == (b"GRAY" if gray else b"RGB ") else None


def exif_orientation(exif: bytes | None) -> int:
    """The orientation an EXIF block names, 1 where it names none or a senseless one."""
    if exif is None:
        return 1
    try:
        for _, entry, tag in _entries(exif, _first_ifd(exif)):
            if tag == ORIENTATION_TAG:
                value = int(struct.unpack_from(_order(exif) + "H", exif, entry + 8)[0])
                return value if 1 <= value <= 8 else 1
    except (struct.error, ValueError):
        pass
    return 1


def exif_for(metadata: PictureMetadata, width: int, height: int) -> bytes | None:
    """The EXIF block to write with a picture of that size; None where there is nothing to say.

    The original bytes are kept (maker notes hold offsets that a rewrite would break) and only what is no
    longer true is changed in place: orientation, sizes; the thumbnail of the old picture is blanked.
    """
    if metadata.exif is not None:
        try:
            block = _updated(metadata.exif, metadata.orientation, width, height)
            if metadata.orientation != exif_orientation(block):
                block = with_entries(block, [(ORIENTATION_TAG, _SHORT, metadata.orientation)])
            if metadata.orientation == exif_orientation(block):
                return block
        except (struct.error, ValueError):
            pass  # A damaged block is not passed on.
    if metadata.orientation == 1:
        return None
    return with_entries(_EMPTY, [(ORIENTATION_TAG, _SHORT, metadata.orientation)])


def with_entries(block: bytes, entries: list[tuple[int, int, int]]) -> bytes:
    """A classic TIFF structure whose main directory also has these (tag, type, value) entries, each of one number.

    The grown directory is appended and the header points at it; every other byte stays where it is, because
    directories and maker notes hold offsets from the start.
    """
    order = _order(block)
    main = _first_ifd(block)
    count = len(list(_entries(block, main)))
    rows = [block[main + 2 + 12 * i : main + 14 + 12 * i] for i in range(count)]
    rows += [
        struct.pack(order + ("HHIHH" if kind == _SHORT else "HHII"), tag, kind, 1, value, *((0,) * (kind == _SHORT)))
        for tag, kind, value in entries
    ]
    rows.sort(key=lambda row: struct.unpack_from(order + "H", row)[0])
    grown = bytearray(block + bytes(len(block) % 2))
    struct.pack_into(order + "I", grown, 4, len(grown))
    after = block[main + 2 + 12 * count : main + 6 + 12 * count].ljust(4, b"\0")
    return bytes(grown) + struct.pack(order + "H", len(rows)) + b"".join(rows) + after


def _order(exif: bytes | bytearray) -> str:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(exif[:4]))
    if order is None:
        raise ValueError("not a TIFF structure")
    return order


def _first_ifd(exif: bytes | bytearray) -> int:
    return int(struct.unpack_from(_order(exif) + "I", exif, 4)[0])


def _entries(exif: bytes | bytearray, ifd: int) -> Iterator[tuple[int, int, int]]:
    """(index, position, tag) of each 12-byte entry of the directory at `ifd`."""
    order = _order(exif)
    (count,) = struct.unpack_from(order + "H", exif, ifd)
    for index in range(count):
        position = ifd + 2 + 12 * index
        yield index, position, struct.unpack_from(order + "H", exif, position)[0]


def _updated(exif: bytes, orientation: int, width: int, height: int) -> bytes:
    block = bytearray(exif)
    order = _order(block)
    main = _first_ifd(block)
    directories = [main]
    for _, entry, tag in _entries(block, main):
        if tag == _EXIF_IFD_TAG:
            directories.append(struct.unpack_from(order + "I", block, entry + 8)[0])
        elif tag == ORIENTATION_TAG:
            struct.pack_into(order + "H", block, entry + 8, orientation)
    for directory in directories:
        for _, entry, tag in _entries(block, directory):
            if tag in _WIDTH_TAGS or tag in _HEIGHT_TAGS:
                _set_number(block, entry, width if tag in _WIDTH_TAGS else height)
    return _without_thumbnail(block, main)


def _set_number(block: bytearray, entry: int, value: int) -> None:
    """Write a SHORT or LONG as a LONG, which holds any size in the same four bytes."""
    order = _order(block)
    struct.pack_into(order + "HII", block, entry + 2, LONG, 1, value)


def _without_thumbnail(block: bytearray, main: int) -> bytes:
    order = _order(block)
    (count,) = struct.unpack_from(order + "H", block, main)
    link = main + 2 + 12 * count
    (second,) = struct.unpack_from(order + "I", block, link)
    if second == 0:
        return bytes(block)
    values = {tag: struct.unpack_from(order + "I", block, entry + 8)[0] for _, entry, tag in _entries(block, second)}
    struct.pack_into(order + "I", block, link, 0)
    start, length = values.get(_THUMBNAIL_OFFSET, 0), values.get(_THUMBNAIL_LENGTH, 0)
    if start and start + length <= len(block):
        if start + length == len(block):
            del block[start:]
        else:
            block[start : start + length] = bytes(length)
    return bytes(block)
