"""Joining the segments, and everything else the source held, into the output: no picture is encoded again."""

from __future__ import annotations

import errno
import heapq
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from restore.errors import DiskFullError, FormatError, OutputError, SourceError
from restore.media.codecs import EncoderSettings
from restore.media.encode import read_segment
from restore.media.options import OutputOptions
from restore.media.probe import SourceInfo, StreamInfo, opened

_OWN_TAGS = frozenset(
    "major_brand minor_version compatible_brands encoder duration number_of_frames number_of_bytes bps "
    "_statistics_writing_app _statistics_writing_date_utc _statistics_tags".split()
)
"""Tags that describe the source's own container, and would be untrue of the output."""
_ISO_TAGS = frozenset(
    "title artist album_artist album composer date genre copyright comment description synopsis show episode_id network "
    "lyrics grouping creation_time track disc encoder timecode location make model keywords".split()
)
"""Tags that MP4 and MOV have places for; others need free-form keys."""
_LOSSLESS_TO_FLAC = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_u8"})


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
    shift: Fraction = Fraction(0)
    """Seconds taken off every time (a run limited to a part of the film)."""
    span: tuple[Fraction, Fraction] | None = None
    """Times, before `shift`, that the output covers; None for the whole film."""
    lossless_audio: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


def check_streams(
    info: SourceInfo, container: str, options: OutputOptions, audio: Sequence[Path] = ()
) -> tuple[StreamInfo, ...]:
    """Which streams will be carried over. Raises FormatError naming the first one that the container cannot hold."""
    kept = [
        s for s in info.streams if s.index not in options.skip_streams and s.codec != "tmcd" and not _is_timecode(s)
    ]
    if audio:
        kept = [stream for stream in kept if stream.kind != "audio"]
    unknown = set(options.skip_streams) - {stream.index for stream in info.streams}
    if unknown:
        raise FormatError(f"--skip-stream {min(unknown)}: the source has no such stream besides its picture")
    with av.open(os.devnull, "w", format=container) as probe:
        supported = probe.supported_codecs
    for stream in kept:
        fits = stream.codec in supported
        if stream.kind == "attachment":
            fits = container == "matroska"
        elif stream.kind == "data":
            fits = False
        if options.master and stream.codec in _LOSSLESS_TO_FLAC:
            fits = "flac" in supported
        if not fits:
            raise FormatError(
                f"{container} cannot hold stream {stream}: name the output .mkv, or add --skip-stream {stream.index}"
                if container != "matroska"
                else f"Matroska cannot hold stream {stream}: leave it out with --skip-stream {stream.index}"
            )
    for path in audio:
        with opened(path) as container_in:
            if not container_in.streams.audio:
                raise SourceError(f"{path}: has no sound")
            name = container_in.streams.audio[0].codec_context.name
        if name not in supported and not (options.master and name in _LOSSLESS_TO_FLAC):
            raise FormatError(
                f"{container} cannot hold {name} sound ({path.name}): name the output .mkv, or convert it first"
            )
    return tuple(kept)


def _is_timecode(stream: StreamInfo) -> bool:
    # QuickTime timecode tracks are written anew from the picture's "timecode" tag.
    return stream.kind == "data" and stream.codec in ("unknown", "tmcd", "none")


@dataclass(slots=True)
class _Copier:
    """One stream on its way over, as it is or re-encoded without loss."""

    stream: Any
    encoder: Any = None

    def packets(self, packet: av.Packet[Any]) -> Iterator[av.Packet[Any]]:
        if self.encoder is None:
            packet.stream = self.stream
            yield packet
            return
        for frame in packet.decode():
            yield from self._encoded(self.encoder.encode(frame))

    def flush(self) -> Iterator[av.Packet[Any]]:
        if self.encoder is not None:
            yield from self._encoded(self.encoder.encode(None))

    def _encoded(self, packets: Sequence[av.Packet[Any]]) -> Iterator[av.Packet[Any]]:
        for packet in packets:
            packet.stream = self.stream
            yield packet


def join(plan: MuxPlan, on_frame: Callable[[], None] | None = None) -> None:
    """Write ``plan.path`` (its caller renames it into place). Raises OutputError, DiskFullError."""
    try:
        _join(plan, on_frame)
    except av.FFmpegError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"{plan.path}: the disk is full; make room and run the same command again") from None
        raise OutputError(f"{plan.path}: cannot be written ({error.strerror or error})") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"{plan.path}: the disk is full; make room and run the same command again") from None
        raise


def _join(plan: MuxPlan, on_frame: Callable[[], None] | None) -> None:
    tags = {key: value for key, value in plan.info.metadata.items() if key.lower() not in _OWN_TAGS}
    tags.update(plan.metadata)
    options: dict[str, str] = {}
    if plan.settings.container in ("mp4", "mov"):
        custom = any(key.lower() not in _ISO_TAGS for key in tags)
        options["movflags"] = "+faststart" + ("+use_metadata_tags" if custom else "")
    with (
        av.open(str(plan.path), "w", format=plan.settings.container, options=options) as output,
        opened(Path(plan.info.path)) as source,
    ):
        output.metadata.update(tags)
        video = _video_stream(output, plan)
        copiers = _add_copies(output, source, plan)
        sounds = []
        for path in plan.audio:
            context = opened(path)
            sounds.append((context, context.__enter__()))
        try:
            extra = [_add_sound(output, sound, plan) for _, sound in sounds]
            _set_chapters(output, source, plan)
            output.start_encoding()
            _check_extradata(video, plan)
            feeds: list[Iterator[tuple[float, av.Packet[Any]]]] = [_video_packets(plan, video, on_frame)]
            if copiers:
                feeds.append(_copied_packets(source, copiers, plan))
            feeds += [_copied_packets(sound, copier, plan) for (_, sound), copier in zip(sounds, extra, strict=True)]
            for _, packet in heapq.merge(*feeds, key=lambda item: item[0]):
                output.mux_one(packet)
        finally:
            for context, _ in sounds:
                context.__exit__(None, None, None)


def _video_stream(output: av.container.OutputContainer, plan: MuxPlan) -> Any:
    settings = plan.settings
    stream: Any = output.add_stream(settings.encoder, rate=settings.format.frame_rate)
    settings.configure(stream.codec_context)
    stream.time_base = settings.format.time_base
    if settings.encoder == "libx265" and settings.container in ("mp4", "mov"):
        stream.codec_context.codec_tag = "hvc1"
    if plan.info.rotation:
        stream.set_display_rotation(plan.info.rotation)
    if plan.info.timecode:
        stream.metadata["timecode"] = plan.info.timecode
    stream.disposition = av.stream.Disposition.default
    return stream


def _check_extradata(video: av.VideoStream, plan: MuxPlan) -> None:
    ours = bytes(video.codec_context.extradata or b"")
    for path in plan.segments:
        extradata, packets = read_segment(path)
        packets.close()  # type: ignore[attr-defined]
        if extradata != ours:
            raise OutputError(f"{path}: was encoded with other settings; delete it and run again")


def _add_copies(
    output: av.container.OutputContainer, source: av.container.InputContainer, plan: MuxPlan
) -> dict[int, _Copier]:
    copiers: dict[int, _Copier] = {}
    for info in plan.copied:
        template: Any = source.streams[info.index]
        if info.kind == "attachment":
            output.add_attachment(
                template.name or "attachment", template.mimetype or "application/octet-stream", template.data
            )
            continue
        copiers[info.index] = _copier(output, template, plan)
    return copiers


def _copier(output: av.container.OutputContainer, template: Any, plan: MuxPlan) -> _Copier:
    encoder = None
    if plan.lossless_audio and template.type == "audio" and template.codec_context.name in _LOSSLESS_TO_FLAC:
        context = template.codec_context
        stream = output.add_stream("flac", rate=context.sample_rate)
        stream.codec_context.layout = context.layout
        stream.codec_context.format = "s32" if "24" in context.name else "s16"
        stream.codec_context.time_base = Fraction(1, context.sample_rate)
        encoder = stream
    else:
        stream = output.add_stream_from_template(template)
        if template.type != "data":
            # The source's tag may be another container's; the muxer knows its own.
            stream.codec_context.codec_tag = "\0\0\0\0"
    stream.disposition = template.disposition
    for key, value in template.metadata.items():
        if key.lower() not in _OWN_TAGS and not key.lower().startswith("_statistics"):
            stream.metadata[key] = value
    return _Copier(stream, encoder)


def _add_sound(
    output: av.container.OutputContainer, sound: av.container.InputContainer, plan: MuxPlan
) -> dict[int, _Copier]:
    template = sound.streams.audio[0]
    return {template.index: _copier(output, template, plan)}


def _set_chapters(output: av.container.OutputContainer, source: av.container.InputContainer, plan: MuxPlan) -> None:
    chapters: list[Any] = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        start, end = chapter["start"] * base, chapter["end"] * base
        if plan.span is not None:
            start, end = max(start, plan.span[0]), min(end, plan.span[1])
            if start >= end:
                continue
        shifted = {"start": int((start - plan.shift) / base), "end": int((end - plan.shift) / base), "time_base": base}
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


def _copied_packets(
    source: av.container.InputContainer, copiers: dict[int, _Copier], plan: MuxPlan
) -> Iterator[tuple[float, av.Packet[Any]]]:
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
        if packet.size == 0 or (packet.dts is None and packet.pts is None):
            continue
        copier = copiers[packet.stream_index]
        base = packet.time_base
        time = (packet.dts if packet.dts is not None else packet.pts or 0) * base
        if plan.span is not None:
            length = (packet.duration or 0) * base
            if time + length <= plan.span[0] or time >= plan.span[1]:
                continue
        offset = round(plan.shift / base)
        if offset:
            packet.pts = None if packet.pts is None else packet.pts - offset
            packet.dts = None if packet.dts is None else packet.dts - offset
        for result in copier.packets(packet):
            # heapq.merge wants each feed in order; the muxer sorts out the rest.
            last = max(last, float(time - plan.shift))
            yield last, result
    for copier in copiers.values():
        for result in copier.flush():
            yield last, result
