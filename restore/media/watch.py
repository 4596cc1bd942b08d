"""Finding out, while a film is read once from end to end, which of its pictures never came or came broken.

Decoders hide much: they drop a picture without a word, or show a slice whose checksum is wrong. So every packet that
goes in is remembered until its picture comes out, FFV1's checksums are computed here, and a file that ends long before
the end it declares was cut off.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from typing import Any

import av

_HIDING = frozenset({"vp8", "vp9", "av1"})
"""Codecs whose packets need not show a picture."""
_DECLARING = ("matroska", "mov")
"""Containers whose header says how long the film is."""
_SLACK = Fraction(1, 2)
"""Seconds that a declared end may lie behind the last packet: muxers round, and count subtitles."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ffv1_intact(data: bytes) -> bool:
    """Whether every slice of an FFV1 packet (version 3, with checksums) agrees with its CRC (RFC 9043, 4.9)."""
    end = len(data)
    while end > 0:
        start = end - 8 - int.from_bytes(data[max(0, end - 8) : end - 5], "big")
        if end < 8 or start < 0:
            return False
        # MSB-first CRC-32 with initial value 0: zlib's, on bytes of reversed bits, its inversions undone.
        if zlib.crc32(data[start:end].translate(_REVERSED), 0xFFFFFFFF) != 0xFFFFFFFF:
            return False
        end = start
    return True


class DamageWatch:
    """Told of every packet and picture of one reading."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._waiting: dict[int, bool] = {}
        """pts of packets whose picture has not come, and whether they are key frames."""
        self._failed: set[int] = set()
        self._broken: set[int] = set()
        self._checked = False
        self._first: int | None = None
        self._last = 0
        self._step = 0
        self._over = False
        self._reached = Fraction(0)
        self._cut_off: int | None = None

    def read(self, packet: av.Packet[Any]) -> None:
        """A packet of any stream was read."""
        if packet.size and packet.pts is not None and packet.time_base:
            self._reached = max(self._reached, (packet.pts + (packet.duration or 0)) * packet.time_base)

    def sent(self, packet: av.Packet[Any]) -> None:
        """A packet goes to the decoder."""
        if not packet.size or packet.pts is None or packet.is_discard:
            return
        self._waiting[packet.pts] = packet.is_keyframe
        if packet.is_corrupt or (self._codec == "ffv1" and self._checksum_fails(packet)):
            self._broken.add(packet.pts)

    def _checksum_fails(self, packet: av.Packet[Any]) -> bool:
        intact = ffv1_intact(bytes(packet))
        # Without one good packet, the film may simply have no checksums.
        self._checked = self._checked or intact
        return self._checked and not intact

    def failed(self, packet: av.Packet[Any]) -> None:
        """The decoder refused a packet."""
        if packet.pts is not None:
            self._failed.add(packet.pts)

    def shown(self, pts: int) -> bool:
        """A picture came out; returns whether its packet was broken."""
        self._waiting.pop(pts, None)
        if self._first is None:
            self._first = pts
        else:
            self._step = pts - self._last
        self._last = pts
        return pts in self._broken

    def ended(self, container: av.container.InputContainer, time_base: Fraction) -> None:
        """The reading came to the end of the file."""
        self._over = True
        if not container.duration or not container.format.name.startswith(_DECLARING):
            return
        declared = Fraction((container.start_time or 0) + container.duration, av.time_base)
        if declared - self._reached > _SLACK:
            self._cut_off = int(declared / time_base) - self._step

    @property
    def lost(self) -> list[int]:
        """pts of pictures that never came, up to where the reading is; of a film cut off, also that of its last one."""
        lost = {
            pts
            for pts in self._waiting
            if (self._over or pts < self._last) and (self._codec not in _HIDING or pts in self._failed)
        }
        head = {pts for pts in lost if self._first is not None and pts < self._first}
        if not any(self._waiting[pts] for pts in head):
            lost -= head  # pictures that lean on ones before the first: a cut recording, no damage
        result = sorted(lost)
        return result if self._cut_off is None else [*result, self._cut_off]
