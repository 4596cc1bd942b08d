"""Repaired sound on its way into an output: encoded as it is muxed, in the place of the track it repairs."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.packet import PacketSideData, packet_sidedata_type_from_literal

from restore.media.probe import StreamInfo
from restore.media.sound import Block
from restore.media.sound_codecs import SoundSettings
from restore.media.streams import Copier, add_copies, own_tags_removed

_UNFLUSHED = frozenset({"ac3", "eac3"})
"""Encoders that keep the last samples to themselves unless more follow."""
_FRAME = 4096
"""Samples a packet, for codecs that take any number."""


@dataclass(frozen=True)
class SoundFeed:
    """One repaired track."""

    path: Path
    """The file whose track it repairs."""
    stream: int
    """Index there of the stream it replaces."""
    settings: SoundSettings
    rate: int
    """Samples a second of the blocks."""
    start: Fraction
    """Time of the first sample, in seconds of that file's clock."""
    blocks: Callable[[], Iterable[Block]]
    """The samples in order, in blocks of any size; called once for each muxing."""


def add_streams(
    output: av.container.OutputContainer,
    source: av.container.InputContainer,
    streams: Sequence[StreamInfo],
    repaired: Sequence[SoundFeed],
    lossless: bool,
) -> tuple[list[tuple[SoundFeed, Any]], dict[int, Copier]]:
    """Make room for streams of the source in their order: repaired ones, and copies of all others."""
    path = Path(source.name)
    mended = {feed.stream: feed for feed in repaired if feed.path == path}
    feeds: list[tuple[SoundFeed, Any]] = []
    copiers: dict[int, Copier] = {}
    for info in streams:
        if info.index in mended:
            feeds.append(add_repaired(output, source.streams[info.index], mended[info.index]))
        else:
            copiers.update(add_copies(output, source, [info], lossless))
    return feeds, copiers


def add_repaired(output: av.container.OutputContainer, template: Any, feed: SoundFeed) -> tuple[SoundFeed, Any]:
    """Make room for a repaired track, with the disposition and tags of the one it replaces."""
    stream: Any = output.add_stream(feed.settings.encoder, rate=feed.settings.format.rate)
    feed.settings.configure(stream.codec_context)
    stream.time_base = Fraction(1, feed.settings.format.rate)
    stream.disposition = template.disposition
    stream.metadata.update(own_tags_removed(template.metadata))
    return feed, stream


def sound_packets(feed: SoundFeed, stream: Any, shift: Fraction) -> Iterator[tuple[float, av.Packet[Any]]]:
    """Encoded packets with the times they are written at; all times moved back by `shift` seconds.

    An encoder's priming lies before the first sample's time, where the container's edit list or codec delay cuts it
    off; what fills the last frame up is marked to be cut off too where the container can say so.
    """
    settings = feed.settings
    base = Fraction(1, settings.format.rate)
    first = round((feed.start - shift) / base)
    size = stream.codec_context.frame_size or _FRAME
    end, held = first, None
    for samples in _sized(_resampled(feed), size):
        for packet in stream.encode(settings.frame(samples, end)):
            if held is not None:
                yield float(held.dts * base), held
            held = packet
        end += samples.shape[1]
    tail: list[av.AudioFrame | None] = [None]
    if settings.encoder in _UNFLUSHED:
        tail = [settings.frame(np.zeros((settings.format.channels, size), np.float32), end), None]
    for packet in (packet for frame in tail for packet in stream.encode(frame)):
        if packet.pts >= end:
            continue
        if held is not None:
            yield float(held.dts * base), held
        held = packet
    if held is not None:
        if stream.container.format.name == "matroska" and not settings.lossless:
            _cut_end(held, held.pts + size - end)
        yield float(held.dts * base), held


def _cut_end(packet: av.Packet[Any], excess: int) -> None:
    """Mark the last `excess` samples of a packet as not to be heard (Matroska's DiscardPadding)."""
    if excess <= 0 or packet.has_sidedata("skip_samples"):
        return
    make: Any = PacketSideData  # its stub does not know that it can be made
    note = make(packet_sidedata_type_from_literal("skip_samples"), 10)
    note.update(struct.pack("<IIBB", 0, excess, 0, 0))
    packet.set_sidedata(note)


def _sized(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """The same samples in blocks of `size`, the last one shorter."""
    held: list[Block] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.shape[1]
        if count < size:
            continue
        joined = np.concatenate(held, 1)
        whole = count // size * size
        yield from (joined[:, place : place + size] for place in range(0, whole, size))
        held, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(held, 1)


def _resampled(feed: SoundFeed) -> Iterable[Block]:
    """The blocks at the rate of the output."""
    settings = feed.settings
    if settings.format.rate == feed.rate:
        return feed.blocks()
    return _converted(feed, settings.format.layout, settings.format.rate)


def _converted(feed: SoundFeed, layout: str, rate: int) -> Iterator[Block]:
    resampler = av.AudioResampler("fltp", layout, rate)
    heard = made = 0
    for block in feed.blocks():
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = feed.rate, heard, Fraction(1, feed.rate)
        heard += block.shape[1]
        for part in resampler.resample(frame):
            made += part.samples
            yield cast(Block, part.to_ndarray())
    wanted = round(Fraction(heard * rate, feed.rate))
    for part in resampler.resample(None):
        samples = cast(Block, part.to_ndarray()[:, : max(0, wanted - made)])
        made += samples.shape[1]
        yield samples
    if made < wanted:
        yield np.zeros((feed.settings.format.channels, wanted - made), np.float32)
