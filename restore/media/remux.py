"""A film with its pictures copied, packet by packet, and its sound repaired; or a sound file."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from restore.errors import OutputError
from restore.media.mux import copied_packets, muxer_options, muxing_errors, set_chapters, tags_of
from restore.media.probe import StreamInfo, opened
from restore.media.sound import SoundReader, probe_sound
from restore.media.sound_feed import SoundFeed, add_streams, sound_packets


@dataclass(frozen=True)
class RemuxPlan:
    """Everything writing needs to know."""

    path: Path
    container: str
    source: Path
    streams: Sequence[StreamInfo]
    """What the output holds of the source, in its order: pictures, sound, everything else."""
    repaired: Sequence[SoundFeed]
    source_metadata: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    """What we say over the source's tags."""
    shift: Fraction = Fraction(0)
    """Seconds taken off every time."""
    span: tuple[Fraction, Fraction] | None = None
    """Times, before `shift`, that the output covers; None for all."""


def remux(plan: RemuxPlan, check: Callable[[], None] | None = None) -> None:
    """Write ``plan.path`` (its caller renames it into place). Raises OutputError, DiskFullError."""
    tags = tags_of(plan.source_metadata, plan.metadata)
    with muxing_errors(plan.path), ExitStack() as stack:
        source = stack.enter_context(opened(plan.source))
        options = muxer_options(plan.container, tags, _timescale(plan))
        output = stack.enter_context(av.open(str(plan.path), "w", format=plan.container, options=options))
        output.metadata.update(tags)
        feeds, copiers = add_streams(output, source, plan.streams, plan.repaired, lossless=False)
        set_chapters(output, source, plan.shift, plan.span)
        output.start_encoding()
        lines = [sound_packets(feed, stream, plan.shift) for feed, stream in feeds]
        if copiers:
            lines.append(copied_packets(source, copiers, plan))
        for _, packet in heapq.merge(*lines, key=lambda item: item[0]):
            output.mux_one(packet)
            if check is not None:
                check()


def _timescale(plan: RemuxPlan) -> int:
    """Ticks in which the starts and ends of tracks are exact."""
    rates = [feed.settings.format.rate for feed in plan.repaired]
    for info in plan.streams:
        if info.kind == "video" and info.time_base is not None:
            rates.append(info.time_base.denominator)
        if "sample_rate" in info.details:
            rates.append(int(info.details["sample_rate"]))
    exact = math.lcm(*rates)
    return exact if exact < 2**31 else max(1000, *rates)


def verify_track(path: Path, number: int, feed: SoundFeed, length: int) -> None:
    """Decode the repaired track `number` (from 1) of an output and count its samples. Raises OutputError.

    `length`: samples at the feed's rate. A lossy codec's first and last frames may stand out over them.
    """
    track = next((track for track in probe_sound(path).tracks if track.number == number), None)
    if track is None:
        raise OutputError(f"{path}: sound track {number} is missing; run the same command again")
    reader = SoundReader(path, track)
    heard = sum(block.shape[1] for block in reader.blocks())
    wanted = round(Fraction(length * track.format.rate, feed.rate))
    spare = 0 if feed.settings.lossless else 8192
    if reader.decode_errors or not wanted <= heard <= wanted + spare:
        raise OutputError(f"{path}: {track} holds {heard} samples instead of {wanted}; run the same command again")
