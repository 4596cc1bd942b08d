"""Joining the segments, and everything else the source held, into the output: no picture is encoded again."""

from __future__ import annotations

import errno
import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av

from restore.errors import DiskFullError, OutputError
from restore.media.codecs import EncoderSettings
from restore.media.encode import read_segment
from restore.media.probe import SourceInfo, StreamInfo, opened
from restore.media.sound_feed import SoundFeed, add_repaired, add_streams, sound_packets
from restore.media.streams import Copier, add_copy, own_tags_removed

_ISO_TAGS = frozenset({"title", "artist", "album_artist", "album", "composer", "date", "genre", "copyright", "comment",
                       "description", "synopsis", "show", "episode_id", "network", "lyrics", "grouping",
                       "creation_time", "track", "disc", "encoder", "timecode", "location", "make", "model",
                       "keywords"})  # fmt: skip


@dataclass(frozen=True)
class MuxPlan:
    """Everything joining needs to know."""

    path: Path
    settings: EncoderSettings
    segments: Sequence[Path]
    """Segment files in the order of the film."""
    pts: Sequence[int]
    """pts of every frame of the output, before `shift`, in the settings' time base."""
    end_pts: int
    reorder: int
    info: SourceInfo
    copied: Sequence[StreamInfo]
    """Streams of the source to carry over, from `check_streams`."""
    audio: Sequence[Path] = ()
    """Sound files besides the source."""
    repaired: Sequence[SoundFeed] = ()
    """Repaired tracks, which take the place of the source's or of those of `audio`."""
    shift: Fraction = Fraction(0)
    """Seconds taken off every time (a run limited to a part of the film)."""
    span: tuple[Fraction, Fraction] | None = None
    """Times, before `shift`, that the output covers; None for the whole film."""
    lossless_audio: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


def join(plan: MuxPlan, on_frame: Callable[[], None] | None = None) -> None:
    """Write ``plan.path`` (its caller renames it into place). Raises OutputError, DiskFullError."""
    with muxing_errors(plan.path):
        _join(plan, on_frame)


@contextmanager
def muxing_errors(path: Path) -> Iterator[None]:
    """Say clearly what FFmpeg and the system say while an output is written: OutputError, DiskFullError."""
    try:
        yield
    except av.FFmpegError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"{path}: the disk is full; make room and run the same command again") from None
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"{path}: the disk is full; make room and run the same command again") from None
        raise


def _join(plan: MuxPlan, on_frame: Callable[[], None] | None) -> None:
    tags = tags_of(plan.info.metadata, plan.metadata)
    options = muxer_options(plan.settings.container, tags, _movie_timescale(plan))
    with ExitStack() as stack:
        output = stack.enter_context(av.open(str(plan.path), "w", format=plan.settings.container, options=options))
        source = stack.enter_context(opened(Path(plan.info.path))) if plan.info.kind == "film" else None
        sounds = [stack.enter_context(opened(path)) for path in plan.audio]
        output.metadata.update(tags)
        video = _video_stream(output, source, plan)
        copiers: list[tuple[av.container.InputContainer, dict[int, Copier]]] = []
        feeds = []
        if source is not None:
            own, copied = add_streams(output, source, plan.copied, plan.repaired, plan.lossless_audio)
            copiers.append((source, copied))
            feeds += own
            set_chapters(output, source, plan.shift, plan.span)
        for path, sound in zip(plan.audio, sounds, strict=True):
            track = sound.streams.audio[0]
            mended = [feed for feed in plan.repaired if feed.path == path]
            if mended:
                feeds.append(add_repaired(output, track, mended[0]))
            else:
                copiers.append((sound, {track.index: add_copy(output, track, plan.lossless_audio)}))
        output.start_encoding()
        _check_extradata(video, plan)
        lines = [_video_packets(plan, video, on_frame)]
        lines += [copied_packets(container, streams, plan) for container, streams in copiers if streams]
        lines += [sound_packets(feed, stream, plan.shift) for feed, stream in feeds]
        for _, packet in heapq.merge(*lines, key=lambda item: item[0]):
            output.mux_one(packet)


def tags_of(source: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """The tags of an output: the source's, less what a muxer says of itself, and what we say over them."""
    ours = {key.lower() for key in said}
    kept = {key: value for key, value in own_tags_removed(source).items() if key.lower() not in ours}
    return {**kept, **said}


def muxer_options(container: str, tags: Mapping[str, str], timescale: int) -> dict[str, str]:
    """Options of a muxer. `timescale`: ticks in which the starts of tracks are exact, where they are told in ticks."""
    options = {"fflags": "+bitexact"}  # no random numbers: the same job gives the same bytes
    if container in ("mp4", "mov", "ipod"):
        custom = any(key.lower() not in _ISO_TAGS for key in tags)
        options["movflags"] = "+faststart" + ("+use_metadata_tags" if custom else "")
        options["movie_timescale"] = str(timescale)
    if container == "wav":
        options["rf64"] = "auto"  # beyond 4 GB
    return options


def _movie_timescale(plan: MuxPlan) -> int:
    """Ticks in which a late start of a track is exact; FFmpeg's milliseconds would move it by up to one."""
    rates = [int(stream.details["sample_rate"]) for stream in plan.copied if "sample_rate" in stream.details]
    video = plan.settings.format.time_base.denominator
    exact = math.lcm(video, *rates)
    return exact if exact < 2**31 else max(1000, video)


def _video_stream(
    output: av.container.OutputContainer, source: av.container.InputContainer | None, plan: MuxPlan
) -> Any:
    settings = plan.settings
    stream: Any = output.add_stream(settings.encoder, rate=settings.format.frame_rate)
    settings.configure(stream.codec_context)
    stream.time_base = settings.format.time_base
    if settings.encoder == "libx265" and settings.container in ("mp4", "mov"):
        stream.codec_context.codec_tag = "hvc1"
    if plan.info.rotation:
        stream.set_display_rotation(plan.info.rotation)
    stream.disposition = av.stream.Disposition.default
    if source is not None:
        template = source.streams[plan.info.stream]
        stream.disposition = template.disposition
        stream.metadata.update(own_tags_removed(template.metadata))
    if plan.info.timecode:
        stream.metadata["timecode"] = plan.info.timecode
    return stream


def _check_extradata(video: av.VideoStream, plan: MuxPlan) -> None:
    ours = bytes(video.codec_context.extradata or b"")
    for path in plan.segments:
        extradata, packets = read_segment(path)
        packets.close()  # type: ignore[attr-defined]
        if extradata != ours:
            raise OutputError(f"{path}: was encoded with other settings; delete it and run again")


def set_chapters(
    output: av.container.OutputContainer,
    source: av.container.InputContainer,
    shift: Fraction = Fraction(0),
    span: tuple[Fraction, Fraction] | None = None,
) -> None:
    """Carry chapters over: those inside `span`, moved back by `shift` seconds."""
    chapters: list[Any] = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        start, end = chapter["start"] * base, chapter["end"] * base
        if span is not None:
            start, end = max(start, span[0]), min(end, span[1])
            if start >= end:
                continue
        shifted = {"start": int((start - shift) / base), "end": int((end - shift) / base), "time_base": base}
        chapters.append({**chapter, **shifted})
    if chapters:
        output.set_chapters(chapters)


def _video_packets(
    plan: MuxPlan, video: av.VideoStream, on_frame: Callable[[], None] | None
) -> Iterator[tuple[float, av.Packet[Any]]]:
    base = plan.settings.format.time_base
    offset = round(plan.shift / base)
    pts, reorder = plan.pts, plan.reorder
    durations = {int(now): int(later - now) for now, later in zip(pts, [*pts[1:], plan.end_pts], strict=True)}
    step = int(pts[1] - pts[0]) if len(pts) > 1 else 1
    written = 0
    for path in plan.segments:
        _, packets = read_segment(path)
        for stored in packets:
            packet = av.Packet(stored.data)
            packet.stream = video
            packet.time_base = base
            packet.pts = stored.pts - offset
            if written >= reorder:
                dts = int(pts[written - reorder])
            elif plan.settings.container == "matroska":
                dts = int(pts[0])  # Matroska stores no DTS, and a negative one would shift the film
            else:
                dts = int(pts[0]) - (reorder - written) * step
            packet.dts = dts - offset
            packet.duration = durations[stored.pts]
            packet.is_keyframe = stored.key
            yield float((dts - offset) * base), packet
            written += 1
            if on_frame is not None:
                on_frame()
    if written != len(pts):
        raise OutputError(f"{plan.path}: the segments hold {written} frames instead of {len(pts)}; run again")


class Placed(Protocol):
    """A plan that says where the packets of a source lie in an output."""

    @property
    def shift(self) -> Fraction:
        """Seconds taken off every time."""
        ...

    @property
    def span(self) -> tuple[Fraction, Fraction] | None:
        """Times, before `shift`, that the output covers; None for all."""
        ...


def _place(packet: av.Packet[Any], plan: Placed, title: bool) -> Fraction | None:
    """Move a packet to where it lies in the output; returns that time, or None if the output does not cover it."""
    base = packet.time_base
    time = (packet.dts if packet.dts is not None else packet.pts or 0) * base
    if plan.span is not None:
        end = time + (packet.duration or 0) * base
        if end <= plan.span[0] or time >= plan.span[1]:
            return None
        if title and time < plan.span[0]:
            # A title that is up already begins with the part; Matroska would move everything for it.
            begin = int(-(-plan.span[0] // base))
            packet.duration = int(end / base) - begin
            packet.pts = packet.dts = begin
    offset = round(plan.shift / base)
    if offset:
        packet.pts = None if packet.pts is None else packet.pts - offset
        packet.dts = None if packet.dts is None else packet.dts - offset
    return Fraction(time) - plan.shift


def copied_packets(
    source: av.container.InputContainer, copiers: dict[int, Copier], plan: Placed
) -> Iterator[tuple[float, av.Packet[Any]]]:
    """Packets of the source's streams, moved to where they lie in the output, with the times they are written at."""
    last = 0.0
    streams = [source.streams[index] for index in copiers]
    packets = source.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            break  # a damaged end: what came before is carried over
        if packet is None:
            break
        if packet.size == 0:
            continue
        copier = copiers[packet.stream_index]
        if copier.is_filler(packet):
            continue
        if packet.dts is None and packet.pts is None:
            if copier.still:  # cover art has no time
                yield last, next(copier.packets(packet))
            continue
        time = _place(packet, plan, copier.stream.type == "subtitle")
        if time is None:
            continue
        for result in copier.packets(packet):
            # heapq.merge wants each feed in order; the muxer sorts out the rest.
            last = max(last, float(time))
            yield last, result
    for copier in copiers.values():
        for result in copier.flush():
            yield last, result
