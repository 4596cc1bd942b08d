"""What a source holds: one call, one value, printed by `restore probe`."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.sidedata.sidedata import Type as SideData

from restore.errors import RestoreError, SourceError, SourceNotFoundError
from restore.frames import VideoFormat
from restore.media.planes import planar_format
from restore.media.tags import complete

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.container import InputContainer

INTERLACED_ORDERS = {2: "tff", 3: "bff", 4: "tff", 5: "bff"}
"""libavcodec's AVFieldOrder; 1 is progressive, 0 unknown."""


REWRITTEN = frozenset({"tmcd", "chapters"})
"""Streams that are another container's way of storing what is written anew: timecode and chapter titles."""


@dataclass(frozen=True)
class StreamInfo:
    """One stream of the source besides the picture that is restored."""

    index: int
    kind: str
    """``video``, ``audio``, ``subtitle``, ``data`` or ``attachment``."""
    codec: str
    language: str | None = None
    title: str | None = None
    time_base: Fraction | None = None
    start: Fraction | None = None
    """Start time in seconds."""
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"#{self.index}", self.kind, self.codec, self.language or "", f'"{self.title}"' if self.title else ""]
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class SourceInfo:
    """Everything `restore` knows of a source before reading it whole."""

    path: str
    container: str
    codec: str
    format: VideoFormat
    stream: int
    """Index of the picture stream."""
    duration: Fraction | None
    """Seconds, as the container says."""
    frame_count: int | None
    """As the container says; the analysis counts for itself."""
    start: Fraction
    """Time of the first picture, seconds."""
    field_order: str
    """``progressive``, ``tff``, ``bff`` or ``unknown``."""
    rotation: int = 0
    """Degrees, counter-clockwise, that a player turns the picture by."""
    timecode: str | None = None
    mastering_display: str | None = None
    """HDR10 mastering display in x265's notation."""
    content_light: str | None = None
    """HDR10 MaxCLL,MaxFALL."""
    streams: tuple[StreamInfo, ...] = ()
    chapters: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    kind: str = "film"
    """``film``, ``sequence`` or ``picture``."""

    @property
    def interlaced(self) -> bool:
        """Whether frames are made of two fields of different times, by the source's own account."""
        return self.field_order in ("tff", "bff")


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a media file for reading; every failure becomes one clear SourceError."""
    if not path.exists():
        raise SourceNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise SourceError(
            f"{path}: is a folder without pictures; give a film, a picture or a pattern like scan_%06d.dpx"
        )
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: is empty (0 bytes)")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except PermissionError:
        raise SourceError(f"{path}: no right to read it; check the file's permissions") from None
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{path}: not a film or picture that FFmpeg can read ({reason})") from None
    try:
        yield container
    finally:
        container.close()


def picture_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """The first real picture stream (cover art is none); raises SourceError where there is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    raise SourceError(f"{path}: has no video stream to restore")


def stream_info(stream: av.stream.Stream) -> StreamInfo:
    """What is known of one stream without decoding it."""
    context: Any = stream.codec_context
    codec = context.codec.canonical_name if context is not None else stream.metadata.get("mimetype", "unknown")
    if stream.type == "data":
        codec = stream.name or "unknown"
        if "timecode" in stream.metadata:
            codec = "tmcd"
        elif stream.discard == av.stream.Discard.all:
            codec = "chapters"
    details: dict[str, Any] = {}
    if stream.type == "audio" and context is not None:
        details = {"sample_rate": context.sample_rate, "layout": context.layout.name, "format": context.format.name}
    if stream.type == "attachment":
        details = {"filename": stream.metadata.get("filename")}
    start = None
    if stream.start_time is not None and stream.time_base is not None:
        start = stream.start_time * stream.time_base
    return StreamInfo(
        stream.index, stream.type, codec, stream.metadata.get("language"), stream.metadata.get("title"),
        stream.time_base, start, details,
    )  # fmt: skip


def hdr_metadata(frame: av.VideoFrame) -> tuple[str | None, str | None]:
    """SMPTE ST 2086 and CTA-861.3 data of a frame, in the notation encoders take.

    x265's: ``G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`` in units of 0.00002 and 0.0001 cd/m2.
    """
    mastering = light = None
    items: Iterable[Any] = iter(frame.side_data)
    for item in items:
        raw = bytes(item)
        if item.type == SideData.MASTERING_DISPLAY_METADATA:
            numbers = struct.unpack("=20i2i", raw[:88])
            if not (numbers[20] and numbers[21]):
                continue
            values = [Fraction(numbers[i], numbers[i + 1] or 1) for i in range(0, 20, 2)]
            xy = [round(value * 50000) for value in values[:8]]
            low, high = (round(value * 10000) for value in values[8:])
            (rx, ry, gx, gy, bx, by, wx, wy) = xy
            mastering = f"G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({high},{low})"
        elif item.type == SideData.CONTENT_LIGHT_LEVEL:
            light = "{},{}".format(*struct.unpack("=2I", raw[:8]))
    return mastering, light


def _first_frames(container: InputContainer, stream: av.VideoStream, path: Path, count: int = 8) -> list[av.VideoFrame]:
    frames: list[av.VideoFrame] = []
    try:
        for packet in container.demux(stream):
            try:
                frames.extend(packet.decode())
            except av.FFmpegError:
                continue
            if len(frames) >= count:
                break
    except av.FFmpegError:
        pass
    if not frames:
        raise SourceError(f"{path}: no picture of it can be decoded (codec {stream.codec_context.name})")
    return frames


def frame_rate_of(stream: av.VideoStream) -> Fraction:
    """The nominal rate: the container's guess, else 25 (only a label: pts decide)."""
    rate = stream.guessed_rate or stream.average_rate or stream.base_rate
    return Fraction(rate) if rate else Fraction(25)


def _field_order(context: av.VideoCodecContext, frames: list[av.VideoFrame]) -> str:
    order = INTERLACED_ORDERS.get(context.field_order)
    if order is None and sum(frame.interlaced_frame for frame in frames) > len(frames) // 2:
        order = "tff"
    return order or ("progressive" if context.field_order == 1 else "unknown")


def probe_file(path: Path) -> SourceInfo:
    """Look into a media file. Decodes its first frames only. Raises SourceNotFoundError, SourceError."""
    with opened(path) as container:
        stream = picture_stream(container, path)
        context = stream.codec_context
        try:
            frames = _first_frames(container, stream, path)
        except RestoreError:
            raise
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(f"{path}: its picture cannot be decoded ({error})") from None
        first = frames[0]
        pixel, _ = planar_format(first.format.name)
        codes = (
            int(first.color_primaries), int(first.color_trc), int(first.colorspace), int(first.color_range),
        )  # fmt: skip
        color = complete(pixel, first.height, context.name, codes, first.format.name.startswith("yuvj"))
        mastering, light = hdr_metadata(first)
        time_base = stream.time_base or Fraction(1, 1000)
        start = Fraction(first.pts or 0) * time_base
        duration = Fraction(container.duration, av.time_base) if container.duration else None
        others = [stream_info(other) for other in container.streams if other.index != stream.index]
        timecode = stream.metadata.get("timecode") or container.metadata.get("timecode")
        return SourceInfo(
            path=str(path),
            container=container.format.name,
            codec=context.name,
            format=VideoFormat(
                first.width, first.height, pixel, color, time_base, frame_rate_of(stream),
                Fraction(stream.sample_aspect_ratio or 1),
            ),
            stream=stream.index,
            duration=duration,
            frame_count=stream.frames or None,
            start=start,
            field_order=_field_order(context, frames),
            rotation=int(first.rotation),
            timecode=timecode,
            mastering_display=mastering,
            content_light=light,
            streams=tuple(others),
            chapters=len(container.chapters()),
            metadata=dict(container.metadata),
        )  # fmt: skip
