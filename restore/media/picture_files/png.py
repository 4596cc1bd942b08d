"""PNG, 1 to 16 bits: FFmpeg codes the pixels, the chunks beside them are read and written here.

(Pillow would reduce 16-bit colour to 8.) After W3C PNG, Third Edition (2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from restore.frames import ColorInfo
from restore.media.picture_files import Picture, srgb_for
from restore.media.picture_files.planes import decode_picture, encode_picture, frame_of, interleaved, planes_of
from restore.media.picture_metadata import PictureMetadata, exif_for, exif_orientation, fitting_profile

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_MAX_INFLATED = 2**26
"""Profiles and texts are inflated to at most this many bytes."""
_INCH = Fraction(254, 10000)  # metres

# ITU-T H.273 code points that cICP carries, under FFmpeg's names.
_PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 11: "smpte431", 12: "smpte432"}
_TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    8: "linear",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    18: "arib-std-b67",
}


def size(data: bytes) -> tuple[int, int]:
    """(width, height) from the header."""
    if not data.startswith(_SIGNATURE) or len(data) < 33:
        raise ValueError("not a PNG file")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def read(data: bytes) -> Picture:
    """Decode; a wrong checksum or a missing end is an error, never a half picture."""
    chunks: dict[bytes, list[bytes]] = {}
    for kind, body in _chunks(data):
        if kind not in (b"IDAT", b"IEND"):
            chunks.setdefault(kind, []).append(body)
    if b"acTL" in chunks:
        raise ValueError("an animated PNG; convert it to a video or a numbered sequence first")
    planes, pixel = planes_of(decode_picture(data, "png", {"err_detect": "crccheck+explode"}))
    if b"PLTE" in chunks and b"tRNS" not in chunks and pixel.alpha:
        planes, pixel = planes[:3], replace(pixel, alpha=False)
    exif = chunks.get(b"eXIf", [None])[0]
    dpi, sample_aspect = _resolution(chunks.get(b"pHYs", [b""])[0])
    text, xmp = _texts(chunks)
    metadata = PictureMetadata(
        exif=exif,
        icc=_profile(chunks.get(b"iCCP", [b""])[0]),
        xmp=xmp,
        dpi=dpi,
        orientation=exif_orientation(exif),
        text=text,
        sample_aspect=sample_aspect,
    )
    return Picture(planes, pixel, _color(chunks, srgb_for(pixel)), metadata)


def encode(picture: Picture) -> bytes:
    """The file, losslessly; gray or RGB of 8 or 16 bits, with or without alpha."""
    array = interleaved(picture.planes)
    height, width = array.shape[:2]
    name = {1: "gray", 2: "ya", 3: "rgb", 4: "rgba"}[len(picture.planes)]
    if picture.pixel.depth == 8:
        name = {"ya": "ya8", "rgb": "rgb24"}.get(name, name)
    else:
        name = {"rgb": "rgb48be", "rgba": "rgba64be"}.get(name, f"{name}16be")
        array = array.astype(">u2")
    frame = frame_of((array.reshape(height, -1),), name, width, height)
    encoded = encode_picture(frame, "png", {"pred": "paeth", "compression_level": "3"})
    before, after = [], []
    for kind, body in _chunks(encoded):
        if kind == b"IHDR":
            before.append(_chunk(kind, body))
        elif kind in (b"IDAT", b"IEND"):
            after.append(_chunk(kind, body))
    described = [_chunk(kind, body) for kind, body in _described(picture)]
    return b"".join([_SIGNATURE, *before, *described, *after])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if position + 12 + length > len(data):
            raise ValueError("the file is cut short")
        yield kind, data[position + 8 : position + 8 + length]
        if kind == b"IEND":
            return
        position += 12 + length
    raise ValueError("the file is cut short")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _inflate(body: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(body, _MAX_INFLATED)
    except zlib.error:
        return b""
    return b"" if inflater.unconsumed_tail else inflated


def _profile(body: bytes) -> bytes | None:
    _, _, rest = body.partition(b"\0")
    return _inflate(rest[1:]) or None


def _resolution(body: bytes) -> tuple[tuple[float, float] | None, Fraction]:
    if len(body) != 9:
        return None, Fraction(1)
    x, y, unit = struct.unpack(">IIB", body)
    if unit == 1:
        return (round(float(x * _INCH), 2), round(float(y * _INCH), 2)), Fraction(1)
    return None, Fraction(y, x) if x and y else Fraction(1)


def _texts(chunks: dict[bytes, list[bytes]]) -> tuple[tuple[tuple[str, str], ...], bytes | None]:
    """The keyword-text pairs, and the XMP packet."""
    texts: list[tuple[str, str]] = []
    xmp = None
    for body in chunks.get(b"tEXt", []):
        keyword, _, text = body.partition(b"\0")
        texts.append((keyword.decode("latin-1"), text.decode("latin-1")))
    for body in chunks.get(b"zTXt", []):
        keyword, _, text = body.partition(b"\0")
        texts.append((keyword.decode("latin-1"), _inflate(text[1:]).decode("latin-1")))
    for body in chunks.get(b"iTXt", []):
        keyword, _, rest = body.partition(b"\0")
        if len(rest) < 2:
            continue
        parts = rest[2:].split(b"\0", 2)
        text = parts[-1]
        if rest[0]:
            text = _inflate(text)
        if keyword == _XMP_KEYWORD:
            xmp = text
        else:
            texts.append((keyword.decode("latin-1"), text.decode("utf-8", "replace")))
    return tuple(texts), xmp


def _color(chunks: dict[bytes, list[bytes]], assumed: ColorInfo) -> ColorInfo:
    """cICP wins over sRGB, that over gAMA, as the standard orders them."""
    left = assumed.assumed - {"primaries", "transfer"}
    code = chunks.get(b"cICP", [b""])[0]
    if len(code) == 4 and code[0] in _PRIMARIES and code[1] in _TRANSFERS:
        return replace(assumed, primaries=_PRIMARIES[code[0]], transfer=_TRANSFERS[code[1]], assumed=left)
    if b"sRGB" in chunks:
        return replace(assumed, assumed=left)
    if chunks.get(b"gAMA", [b""])[0] == struct.pack(">I", 100000):
        return replace(assumed, transfer="linear", assumed=left | {"primaries"})
    return assumed


def _described(picture: Picture) -> Iterator[tuple[bytes, bytes]]:
    """The chunks beside the pixels, in an order every reader takes: all of them before IDAT."""
    color, metadata = picture.color, picture.metadata
    icc = fitting_profile(metadata.icc, picture.pixel.model == "gray")
    if icc is not None:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9)
    elif (color.primaries, color.transfer) == ("bt709", "iec61966-2-1"):
        yield b"sRGB", b"\0"
    else:
        yield from _cicp(color)
    if metadata.dpi is not None:
        x, y = (round(Fraction(value) / _INCH) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    elif metadata.sample_aspect != 1:
        yield b"pHYs", struct.pack(">IIB", metadata.sample_aspect.denominator, metadata.sample_aspect.numerator, 0)
    exif = exif_for(metadata, picture.width, picture.height)
    if exif is not None:
        yield b"eXIf", exif
    if metadata.xmp is not None:
        yield b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp
    for keyword, text in metadata.text:
        yield b"iTXt", (keyword.encode("latin-1", "replace")[:79] or b"Comment") + b"\0\0\0\0\0" + text.encode()


def _cicp(color: ColorInfo) -> Iterator[tuple[bytes, bytes]]:
    primaries = next((code for code, name in _PRIMARIES.items() if name == color.primaries), None)
    transfer = next((code for code, name in _TRANSFERS.items() if name == color.transfer), None)
    if primaries is not None and transfer is not None:
        yield b"cICP", bytes([primaries, transfer, 0, 1])
