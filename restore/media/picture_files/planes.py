"""Between FFmpeg's frames, interleaved arrays and planes. Nothing is converted: samples are only moved."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.codec.context import CodecContext

from restore.frames import PixelFormat, Planes

# Packed layouts: the type of a sample and the channels in their order.
_PACKED = {
    "rgb24": ("u1", "RGB"),
    "bgr24": ("u1", "BGR"),
    "rgba": ("u1", "RGBA"),
    "bgra": ("u1", "BGRA"),
    "abgr": ("u1", "ABGR"),
    "argb": ("u1", "ARGB"),
    "rgb48le": ("<u2", "RGB"),
    "rgb48be": (">u2", "RGB"),
    "rgba64le": ("<u2", "RGBA"),
    "rgba64be": (">u2", "RGBA"),
    "ya8": ("u1", "YA"),
    "ya16le": ("<u2", "YA"),
    "ya16be": (">u2", "YA"),
}
_RELAID = {"pal8": "rgba", "uyvy422": "yuv422p", "yuyv422": "yuv422p", "monob": "gray", "monow": "gray"}
"""Layouts that swscale re-lays without changing a sample."""


def _rows(frame: av.VideoFrame, index: int, dtype: np.dtype[Any], width: int, height: int) -> npt.NDArray[Any]:
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:height, : width * dtype.itemsize]
    return np.ascontiguousarray(rows).view(dtype)


def _native(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def split_channels(array: npt.NDArray[Any], channels: str) -> Planes:
    """(H, W, C) with the named channels to planes in our order: G B R [A], or Y [A]."""
    order = "GBRA" if "G" in channels else "YA"
    return tuple(_native(array[..., channels.index(c)]) for c in order if c in channels)


def interleaved(planes: Planes) -> npt.NDArray[Any]:
    """Planes (gray, gray and alpha, or G B R [A]) to (H, W) or (H, W, C) with channels R G B [A]."""
    if len(planes) == 1:
        return np.ascontiguousarray(planes[0])
    if len(planes) == 2:
        return np.dstack(planes)
    g, b, r, *alpha = planes
    return np.dstack([r, g, b, *alpha])


def planes_of(frame: av.VideoFrame) -> tuple[Planes, PixelFormat]:
    """The samples of a decoded picture as native-endian planes; raises ValueError for a layout not known here."""
    name = frame.format.name.replace("yuvj", "yuv")
    if name in _RELAID:
        frame = frame.reformat(format=_RELAID[name])
        name = _RELAID[name]
    if name in _PACKED:
        code, channels = _PACKED[name]
        dtype = np.dtype(code)
        packed = _rows(frame, 0, dtype, frame.width * len(channels), frame.height)
        planes = split_channels(packed.reshape(frame.height, frame.width, len(channels)), channels)
        depth = 8 * dtype.itemsize
        return planes, PixelFormat("rgb" if "G" in channels else "gray", depth, alpha="A" in channels)
    pixel = PixelFormat.parse(name)
    dtype = pixel.dtype.newbyteorder(">" if name.endswith("be") else "=")
    sizes = [pixel.plane_size(i, frame.width, frame.height) for i in range(pixel.plane_count)]
    return tuple(_native(_rows(frame, i, dtype, w, h)) for i, (h, w) in enumerate(sizes)), pixel


def frame_of(arrays: Planes, name: str, width: int, height: int) -> av.VideoFrame:
    """An FFmpeg frame of that layout with the arrays' bytes (one array a plane, already in its byte order)."""
    frame = av.VideoFrame(width, height, name)
    for plane, array in zip(frame.planes, arrays, strict=True):
        rows = np.ascontiguousarray(array).view(np.uint8).reshape(array.shape[0], -1)
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: rows.shape[0], : rows.shape[1]] = rows
    return frame


def decode_picture(data: bytes, codec: str, options: dict[str, str] | None = None) -> av.VideoFrame:
    """The one picture in `data`; raises ValueError where FFmpeg cannot decode it or flags it as damaged."""
    context = CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    context.options = options or {}
    try:
        frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    except (av.FFmpegError, MemoryError) as error:
        raise ValueError(str(error)) from error
    if not frames or frames[0].is_corrupt:
        raise ValueError("the data is damaged")
    return frames[0]


def encode_picture(frame: av.VideoFrame, codec: str, options: dict[str, str] | None = None) -> bytes:
    """One frame as a file of a single-picture codec."""
    context = CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base = Fraction(1, 24)
    context.thread_count = 1
    context.options = options or {}
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
