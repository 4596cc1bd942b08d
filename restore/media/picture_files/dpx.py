"""DPX: FFmpeg packs and unpacks the samples; the header's film, television and colour facts are kept here.

After SMPTE ST 268-1:2014 (DPX 2.0). Written big-endian with the 2,048-byte header every scanner and grader reads.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np

from restore.frames import ColorInfo, PixelFormat
from restore.media.picture_files import Picture
from restore.media.picture_files.planes import decode_picture, encode_picture, frame_of, interleaved, planes_of
from restore.media.picture_metadata import PictureMetadata

CINEON_LOG = "log"
"""`ColorInfo.transfer` of printing density and logarithmic scans; H.273 has no code for it."""

_HEADER = 2048
_FFMPEG_HEADER = 1664
_UNSET = 0xFFFFFFFF
_TEXT = ((8, 16), (36, 660), (820, 852), (1432, 1620), (1664, 1712), (1732, 1920))
_SHORTS = ((768, 772), (804, 808), (1620, 1628))
_BYTES = ((800, 804), (1928, 1932))
_NAME, _CREATOR, _SOURCE_NAME = 36, 160, 1432
_FILM_RATE, _TV_RATE, _TIMECODE, _FRAME_POSITION, _ASPECT = 1724, 1940, 1920, 1712, 1628
_TRANSFER, _COLORIMETRIC = 801, 802

_TRANSFERS = {1: CINEON_LOG, 2: "linear", 3: CINEON_LOG, 5: "bt709", 6: "bt709", 7: "smpte170m", 8: "smpte170m"}
_PRIMARIES = {5: "bt709", 6: "bt709", 7: "bt470bg", 8: "smpte170m"}
_TRANSFER_CODES = {name: code for code, name in _TRANSFERS.items()}
_PRIMARIES_CODES = {name: code for code, name in _PRIMARIES.items()}
_UNSPECIFIED_VIDEO = 4


def size(data: bytes) -> tuple[int, int]:
    """(width, height) from the header."""
    order = _order(data)
    width, height = struct.unpack_from(order + "II", data, 772)
    return width, height


def read(data: bytes) -> Picture:
    """Decode; 10 and 12 bits stay so."""
    header = _big_endian(data)
    try:
        planes, pixel = planes_of(decode_picture(data, "dpx"))
    except ValueError as error:
        descriptor, depth = header[800], header[803]
        raise ValueError(
            f"damaged, cut short, or a kind of DPX that is not supported (descriptor {descriptor}, {depth} bits)"
        ) from error
    return Picture(planes, pixel, _color(header, pixel), read_metadata(header))


def read_metadata(data: bytes) -> PictureMetadata:
    """What the header says of the film; `data` is at least the header."""
    header = _big_endian(data)
    film, tv = (_rate(struct.unpack_from(">f", header, position)[0]) for position in (_FILM_RATE, _TV_RATE))
    horizontal, vertical = struct.unpack_from(">II", header, _ASPECT)
    (position,) = struct.unpack_from(">I", header, _FRAME_POSITION)
    plausible = all(0 < value < _UNSET for value in (horizontal, vertical))
    return PictureMetadata(
        frame_rate=film or tv,
        timecode=_timecode_text(struct.unpack_from(">I", header, _TIMECODE)[0]),
        frame_position=None if position == _UNSET else position,
        sample_aspect=Fraction(horizontal, vertical) if plausible else Fraction(1),
        dpx_header=header,
    )


def encode(picture: Picture) -> bytes:
    """The file; RGB of 8, 10, 12 or 16 bits, gray or RGBA of 8 or 16."""
    planes, pixel = picture.planes, picture.pixel
    height, width = picture.height, picture.width
    if pixel.model == "rgb" and not pixel.alpha and pixel.depth in (10, 12):
        name = f"gbrp{pixel.depth}be"
        arrays = tuple(p.astype(">u2") for p in planes)
    else:
        kind = "gray" if pixel.model == "gray" else ("rgba" if pixel.alpha else "rgb")
        name = {("gray", 8): "gray", ("rgb", 8): "rgb24", ("rgba", 8): "rgba"}.get((kind, pixel.depth), "")
        name = name or {"gray": "gray16be", "rgb": "rgb48be", "rgba": "rgba64be"}[kind]
        array = interleaved(planes).reshape(height, -1)
        arrays = (array if pixel.depth == 8 else array.astype(">u2"),)
    encoded = encode_picture(frame_of(arrays, name, width, height), "dpx")
    body = encoded[_FFMPEG_HEADER:]
    return _header(picture, len(body), encoded[800:808]) + body


def frames_to_timecode(start: str, frames: int, frame_rate: Fraction) -> str:
    """The timecode `frames` after `start` (``hh:mm:ss:ff``; ``;`` before the frames means drop-frame)."""
    nominal = round(frame_rate)
    drop = ";" in start and nominal % 30 == 0
    hours, minutes, seconds, count = (int(part) for part in start.replace(";", ":").split(":"))
    total = ((hours * 60 + minutes) * 60 + seconds) * nominal + count
    dropped = nominal // 15 if drop else 0  # per minute, but not every tenth (SMPTE ST 12-1)
    if drop:
        whole = hours * 60 + minutes
        total -= dropped * (whole - whole // 10)
    per_ten = 600 * nominal - 9 * dropped
    total = (total + frames) % (144 * per_ten)
    if drop:
        tens, rest = divmod(total, per_ten)
        total += dropped * (9 * tens + max(0, rest - dropped) // (60 * nominal - dropped))
    seconds, count = divmod(total, nominal)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{';' if drop else ':'}{count:02}"


def rational_rate(rate: float) -> Fraction:
    """The exact rate a header's float stands for: whole, NTSC's n x 1000/1001, or the nearest simple one."""
    whole = round(rate)
    if abs(rate - whole) < 1e-3:
        return Fraction(whole)
    ntsc = Fraction(math.ceil(rate) * 1000, 1001)
    return ntsc if abs(rate - float(ntsc)) < 5e-3 else Fraction(rate).limit_denominator(1001)


def _order(data: bytes) -> str:
    if len(data) < _FFMPEG_HEADER:
        raise ValueError("too short for a DPX header")
    order = {b"SDPX": ">", b"XPDS": "<"}.get(data[:4])
    if order is None:
        raise ValueError("not a DPX file")
    return order


def _big_endian(data: bytes) -> bytes:
    """The 2,048-byte header with its numbers big-endian; what a short one lacks is unset."""
    order = _order(data)
    generic = struct.unpack_from(order + "I", data, 4)[0]
    header = bytearray(data[:_HEADER].ljust(_HEADER, b"\xff"))
    if generic < _HEADER:
        header[max(generic, _FFMPEG_HEADER) :] = b"\xff" * (_HEADER - max(generic, _FFMPEG_HEADER))
    if order == "<":
        kept = [(start, end, bytes(header[start:end])) for start, end in (*_TEXT, *_BYTES)]
        shorts = [(s, e, np.frombuffer(header[s:e], "<u2").astype(">u2").tobytes()) for s, e in _SHORTS]
        header = bytearray(np.frombuffer(header, "<u4").astype(">u4").tobytes())
        for start, end, value in (*kept, *shorts):
            header[start:end] = value
    return bytes(header)


def _rate(value: float) -> Fraction | None:
    return rational_rate(value) if math.isfinite(value) and 0.5 <= value <= 1000 else None


def _timecode_text(word: int) -> str | None:
    if word == _UNSET:
        return None
    digits = f"{word & 0x3F7F7F3F:08x}"
    if not digits.isdecimal():
        return None
    separator = ";" if word & 0x40 else ":"
    return f"{digits[:2]}:{digits[2:4]}:{digits[4:6]}{separator}{digits[6:]}"


def _timecode_word(text: str) -> int:
    return int(text.replace(";", ":").replace(":", ""), 16) | (0x40 if ";" in text else 0)


def _color(header: bytes, pixel: PixelFormat) -> ColorInfo:
    assumed = set()
    transfer = _TRANSFERS.get(header[_TRANSFER])
    if transfer is None or (transfer == "linear" and header[_CREATOR:].startswith((b"Lavc", b"Lavf"))):
        # Scanners that say nothing scan in density; FFmpeg long called anything linear.
        scan = header[_TRANSFER] in (0, 255) and pixel.depth == 10
        transfer = CINEON_LOG if scan else "bt709"
        assumed.add("transfer")
    primaries = _PRIMARIES.get(header[_COLORIMETRIC])
    if primaries is None:
        primaries = "bt709"
        assumed.add("primaries")
    if pixel.model == "yuv":
        matrix = "smpte170m" if primaries in ("bt470bg", "smpte170m") else "bt709"
        return ColorInfo(primaries, transfer, matrix, "limited", "left", frozenset(assumed | {"matrix", "range"}))
    matrix = "gbr" if pixel.model == "rgb" else "bt709"
    return ColorInfo(primaries, transfer, matrix, "full", "center", frozenset(assumed))


def _header(picture: Picture, body: int, element: bytes) -> bytes:
    """`body` is the bytes after it, `element` the descriptor to packing bytes FFmpeg wrote."""
    pixel, color, metadata = picture.pixel, picture.color, picture.metadata
    header = bytearray(metadata.dpx_header or _blank_header())
    struct.pack_into(">4sI4s", header, 0, b"SDPX", _HEADER, b"V2.0")
    struct.pack_into(">IIIII", header, 16, _HEADER + body, 1, _FFMPEG_HEADER, _HEADER - _FFMPEG_HEADER, 0)
    if not header[_SOURCE_NAME]:
        header[_SOURCE_NAME : _SOURCE_NAME + 100] = header[_NAME : _NAME + 100]
    header[_NAME:_CREATOR] = bytes(_CREATOR - _NAME)  # The name and the date were the source's.
    struct.pack_into(">I", header, 660, _UNSET)  # not encrypted
    struct.pack_into(">HHII", header, 768, 0 if header[768] == 0xFF else header[769], 1, picture.width, picture.height)
    struct.pack_into(">II", header, 1424, picture.width, picture.height)
    struct.pack_into(">I", header, 780, 0)  # unsigned samples
    if metadata.dpx_header is None or metadata.dpx_header[803] != pixel.depth:
        struct.pack_into(">IfIf", header, 784, 0, 0.0, 2**pixel.depth - 1, 1.0)
    codes = bytes(header[_TRANSFER : _COLORIMETRIC + 1])
    descriptor, depth, layout = element[0], element[3], element[4:8]
    header[800:808] = bytes([descriptor, *codes, depth]) + layout
    said = _color(bytes(header), pixel)
    if metadata.dpx_header is None or said.transfer != color.transfer:
        header[_TRANSFER] = _TRANSFER_CODES.get(color.transfer, _UNSPECIFIED_VIDEO)
    if metadata.dpx_header is None or said.primaries != color.primaries:
        header[_COLORIMETRIC] = _PRIMARIES_CODES.get(color.primaries, _UNSPECIFIED_VIDEO)
    struct.pack_into(">III", header, 808, _HEADER, 0, 0)
    aspect = metadata.sample_aspect
    struct.pack_into(">II", header, _ASPECT, aspect.numerator, aspect.denominator)
    if metadata.frame_rate is not None:
        for position in (_FILM_RATE, _TV_RATE):
            struct.pack_into(">f", header, position, float(metadata.frame_rate))
    if metadata.frame_position is not None:
        struct.pack_into(">I", header, _FRAME_POSITION, metadata.frame_position)
    if metadata.timecode is not None:
        struct.pack_into(">I", header, _TIMECODE, _timecode_word(metadata.timecode))
    return bytes(header)


def _blank_header() -> bytes:
    """Numbers unset (all ones), texts empty."""
    header = bytearray(b"\xff" * _HEADER)
    for start, end in _TEXT:
        header[start:end] = bytes(end - start)
    header[_CREATOR : _CREATOR + 7] = b"restore"
    header[_TRANSFER] = header[_COLORIMETRIC] = _UNSPECIFIED_VIDEO
    return bytes(header)
