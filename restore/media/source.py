"""Where frames come from: the contract of every source, and films in a container."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

import av

from restore.errors import SourceError
from restore.frames import Frame, VideoFormat
from restore.media.planes import planar_format, to_planes
from restore.media.probe import opened, picture_stream, probe_file
from restore.media.watch import DamageWatch


class Source(Protocol):
    """A film, a sequence of pictures or one picture. A context manager; never writes to what it reads."""

    format: VideoFormat
    decode_errors: int
    """Errors met while decoding so far; a sign of damage even where every frame came out."""
    mended: bool
    """Whether pts had to be invented."""
    threads: int
    """Decoder threads; 0 is the decoder's own choice."""
    watched: bool
    """Set while the film is listed: whatever does not come through is noted in `lost`."""

    @property
    def lost(self) -> Sequence[int]:
        """pts of pictures that did not decode, as far as a watched reading came."""
        ...

    def frames(self, start_pts: int | None = None) -> Iterator[Frame]:
        """Frames in presentation order, strictly rising pts, from the first at or after `start_pts`."""
        ...

    def use_index(self, key_pts: Sequence[int], seekable: bool) -> None:
        """Learn from a full listing where seeking may land; without it every read starts at the beginning."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


_STRANGE = 3
"""Pictures of another size in a row that are taken for damaged headers; more are another film."""


class VideoSource:
    """A film in a container, decoded by FFmpeg.

    Damage does not stop it: what does not decode is missing, what decodes with errors is flagged `corrupt`.
    Frames whose pts do not rise (broken files) get the next free tick, so that none is lost; such a source, and
    one whose index cannot be trusted, is always read from its beginning.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.path = path
        self.info = probe_file(path)
        self.format = self.info.format
        self.threads = threads
        self.decode_errors = 0
        self.mended = False
        self.watched = False
        self._watch = DamageWatch(self.info.codec)
        self._keys: Sequence[int] = ()
        self._seekable = False

    @property
    def lost(self) -> Sequence[int]:
        """See `Source.lost`."""
        return self._watch.lost

    def use_index(self, key_pts: Sequence[int], seekable: bool) -> None:
        """See `Source.use_index`."""
        self._keys, self._seekable = key_pts, seekable

    def frames(self, start_pts: int | None = None) -> Generator[Frame]:
        """See `Source.frames`. A film whose size or layout changes is a SourceError."""
        if start_pts is not None and self._seekable:
            # One key frame further back than needed: in an open GOP, the pictures just after a key frame lean
            # on the group before it.
            place = bisect_right(self._keys, start_pts) - 2
            if place >= 1:
                yield from self._read(self._keys[place], start_pts)
                return
        yield from self._read(None, start_pts)

    def near(self, pts: int) -> Generator[Frame]:
        """Frames from about a time on: from wherever the container's own index leads."""
        return self._read(pts, None, exact=False)

    def _read(self, seek_to: int | None, start_pts: int | None, exact: bool = True) -> Generator[Frame]:
        with opened(self.path) as container:
            stream = picture_stream(container, self.path)
            context = stream.codec_context
            # A decoder with several frames under way may hand one out before its damage is noted; while the film is
            # listed, what is corrupt must not depend on luck.
            context.thread_type = "SLICE" if self.watched else "AUTO"
            context.thread_count = self.threads
            context.flags |= av.codec.context.Flags.output_corrupt
            if seek_to is not None:
                container.seek(seek_to, stream=stream, backward=True)
            last: int | None = None
            strange = 0
            for decoded in self._decode(container, stream):
                if not self._fits(decoded):
                    strange += 1
                    if strange > _STRANGE:
                        self._refuse(decoded)
                    self.decode_errors += 1
                    continue
                strange = 0
                frame = self._convert(decoded, last)
                if exact and last is None and seek_to is not None and frame.pts > (start_pts or 0):
                    # The container's index led past the place: begin again from the beginning.
                    yield from self._read(None, start_pts)
                    return
                last = frame.pts
                if start_pts is None or frame.pts >= start_pts:
                    yield frame

    def _decode(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        watch = DamageWatch(self.info.codec)
        if self.watched:
            self._watch = watch
        for packet in self._packets(container, stream):
            if self.watched:
                watch.read(packet)
                if packet.stream.index != stream.index:  # a flushing packet's own stream_index is 0
                    continue
                watch.sent(packet)
            try:
                yield from packet.decode()
            except av.EOFError:
                break
            except av.FFmpegError:
                self.decode_errors += 1
                watch.failed(packet)
        if stream.time_base is not None:
            watch.ended(container, stream.time_base)

    def _packets(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet[Any]]:
        streams = container.streams
        others = (*streams.audio, *streams.subtitles) if self.watched else ()
        packets = container.demux(stream, *others)
        while True:
            try:
                packet = cast("av.Packet[Any] | None", next(packets, None))
            except av.EOFError:
                return
            except av.FFmpegError:
                self.decode_errors += 1
                return  # the container itself ends here; what came before counts
            if packet is None:
                return
            yield packet

    def _fits(self, decoded: av.VideoFrame) -> bool:
        pixel, _ = planar_format(decoded.format.name)
        return (decoded.width, decoded.height, pixel) == (self.format.width, self.format.height, self.format.pixel)

    def _refuse(self, decoded: av.VideoFrame) -> None:
        expected = self.format
        pixel, _ = planar_format(decoded.format.name)
        raise SourceError(
            f"{self.path}: the picture changes from {expected.width}x{expected.height} {expected.pixel.name} to "
            f"{decoded.width}x{decoded.height} {pixel.name} at pts {decoded.pts}; split the film there first"
        )

    def _convert(self, decoded: av.VideoFrame, last: int | None) -> Frame:
        expected = self.format
        pixel, twin = planar_format(decoded.format.name)
        pts = decoded.pts
        if pts is None or (last is not None and pts <= last):
            step = max(1, round(1 / (expected.frame_rate * expected.time_base))) if pts is None else 1
            pts = 0 if last is None else last + step
            self.mended = True
        broken = self.watched and decoded.pts is not None and self._watch.shown(decoded.pts)
        planes = to_planes(decoded, pixel, twin)
        return Frame(pts, planes, bool(decoded.is_corrupt) or broken, bool(decoded.key_frame), decoded.duration or 0)

    def close(self) -> None:
        """Nothing stays open between reads."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
