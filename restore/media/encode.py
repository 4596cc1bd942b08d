"""Encoding one segment to a closed file of packets.

The file is our own, and simple: a header line of JSON, then the packets. Containers lose what joining needs (the
first negative DTS in Matroska and NUT, two-frame x265 segments in MP4); packets with their pts lose nothing, and the
film's DTS are computed anew over all segments anyway.
"""

from __future__ import annotations

import json
import os
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from restore.errors import OutputError, PlanError
from restore.frames import Frame
from restore.media.codecs import EncoderSettings
from restore.media.planes import to_frame
from restore.media.tags import MATRICES, PRIMARIES, RANGES, TRANSFERS, code

MAGIC = b"restore segment 1\n"
_PACKET = struct.Struct("<qIB3x")


@dataclass(frozen=True, slots=True)
class StoredPacket:
    """An encoded picture."""

    pts: int
    key: bool
    data: bytes


def reorder_depth(pts: list[int]) -> int:
    """How far, in packets, decoding order runs ahead of presentation: the least delay that keeps dts <= pts."""
    ranks = np.argsort(np.argsort(np.array(pts)))
    return int(max(0, np.max(np.arange(len(pts)) - ranks))) if pts else 0


class SegmentEncoder:
    """Frames in, one closed file out; the file appears whole or not at all. A context manager."""

    def __init__(self, path: Path, settings: EncoderSettings) -> None:
        self.path = path
        self.settings = settings
        self._context = settings.open()
        self._part = path.with_name(path.name + ".part")
        self._file = self._part.open("wb")
        header = {"encoder": settings.encoder, "extradata": b64encode(self._context.extradata or b"").decode()}
        self._file.write(MAGIC + json.dumps(header).encode() + b"\n")
        self._pts: list[int] = []
        self._sent: list[int] = []
        self._first = True

    def write(self, frame: Frame) -> None:
        """Encode one frame; pts must rise."""
        picture = to_frame(
            frame.planes, self.settings.format.pixel, self.settings.format.width, self.settings.format.height
        )
        if picture.format.name != self.settings.av_format:
            # Naming equal ranges keeps swscale from converting what only has to be repacked.
            picture = picture.reformat(format=self.settings.av_format, src_color_range=1, dst_color_range=1)
        picture.pts = frame.pts
        picture.time_base = self.settings.format.time_base
        color = self.settings.format.color
        # ProRes writes the picture's own tags, not the encoder's.
        picture.color_primaries, picture.color_trc = code(PRIMARIES, color.primaries), code(TRANSFERS, color.transfer)
        picture.colorspace, picture.color_range = code(MATRICES, color.matrix), code(RANGES, color.range)
        if self._first:
            picture.pict_type = av.video.frame.PictureType.I
            self._first = False
        self._sent.append(frame.pts)
        for packet in self._context.encode(picture):
            self._store(packet)

    def _store(self, packet: av.Packet[Any]) -> None:
        if packet.pts is None:
            raise OutputError(f"{self.path}: encoder {self.settings.encoder} returned a packet without a time")
        data = bytes(packet)
        self._pts.append(packet.pts)
        self._file.write(_PACKET.pack(packet.pts, len(data), packet.is_keyframe))
        self._file.write(data)

    def finish(self) -> tuple[int, int]:
        """Flush, check, rename into place. Returns the file's bytes and the reorder depth."""
        for packet in self._context.encode(None):
            self._store(packet)
        if sorted(self._pts) != self._sent:
            raise OutputError(
                f"{self.path}: encoder {self.settings.encoder} returned {len(self._pts)} pictures for {len(self._sent)}"
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        os.replace(self._part, self.path)
        return size, reorder_depth(self._pts)

    def __enter__(self) -> SegmentEncoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._file.close()  # flushes, which fails again where the disk is full
        finally:
            if kind is not None:
                self._part.unlink(missing_ok=True)


def read_segment(path: Path) -> tuple[bytes, Iterator[StoredPacket]]:
    """The encoder's extradata, and the packets in decoding order. Raises PlanError for a broken file."""
    file = path.open("rb")
    try:
        if file.readline() != MAGIC:
            raise PlanError(f"{path}: not a segment; delete it and run again")
        extradata = b64decode(json.loads(file.readline())["extradata"])
    except (ValueError, KeyError):
        file.close()
        raise PlanError(f"{path}: not a segment; delete it and run again") from None

    def packets() -> Iterator[StoredPacket]:
        with file:
            while head := file.read(_PACKET.size):
                if len(head) < _PACKET.size:
                    raise PlanError(f"{path}: ends in the middle of a packet; delete it and run again")
                pts, size, key = _PACKET.unpack(head)
                data = file.read(size)
                if len(data) < size:
                    raise PlanError(f"{path}: ends in the middle of a packet; delete it and run again")
                yield StoredPacket(pts, bool(key), data)

    return extradata, packets()
