"""The streams beside the picture: which of them a container can hold, and carrying them over."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
from av.stream import Disposition

from restore.errors import FormatError, SourceError
from restore.media.options import OutputOptions
from restore.media.probe import REWRITTEN, StreamInfo, opened

_OWN_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "number_of_frames",
                       "number_of_bytes", "_statistics_writing_app", "_statistics_writing_date_utc",
                       "_statistics_tags", "bps"})  # fmt: skip
USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_KEPT_TAGS = frozenset({"avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe", "av01", "vp09"})
_LOSSLESS_TO_FLAC = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_u8"})


def own_tags_removed(tags: Mapping[str, str]) -> dict[str, str]:
    """Metadata without what a muxer writes of itself and of the bytes it wrote."""
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in _OWN_TAGS and not key.lower().startswith("_statistics")
    }


class _Streams(Protocol):
    """A probed source."""

    @property
    def path(self) -> str: ...

    @property
    def streams(self) -> tuple[StreamInfo, ...]: ...


def check_streams(
    info: _Streams,
    container: str,
    options: OutputOptions,
    audio: Sequence[Path] = (),
    repaired: Collection[int] = (),
) -> tuple[StreamInfo, ...]:
    """Which streams will be carried over; those in `repaired` are encoded anew, so that they need not fit as they are.

    Raises FormatError naming the first one that the container cannot hold.
    """
    unknown = set(options.skip_streams) - {stream.index for stream in info.streams}
    if unknown:
        raise FormatError(f"--skip-stream {min(unknown)}: the source has no such stream besides its picture")
    kept = [s for s in info.streams if s.index not in options.skip_streams and s.codec not in REWRITTEN]
    if audio:
        kept = [stream for stream in kept if stream.kind != "audio"]
    if kept:
        with opened(Path(info.path)) as source:
            for stream in kept:
                if stream.index in repaired:
                    continue
                template = source.streams[stream.index]
                if not _fits(container, template, options.master):
                    advice = f"leave it out with --skip-stream {stream.index}"
                    if _fits("matroska", template, options.master):
                        advice = f"name the output .mkv, or {advice}"
                    raise FormatError(f"{container} cannot hold stream {stream}: {advice}")
    for path in audio if not repaired else ():
        with opened(path) as sound:
            if not sound.streams.audio:
                raise SourceError(f"{path}: has no sound")
            track = sound.streams.audio[0]
            if not _fits(container, track, options.master):
                name = track.codec_context.name
                raise FormatError(
                    f"{container} cannot hold {name} sound ({path.name}): name the output .mkv, or convert it first"
                )
    return tuple(kept)


def fitting_covers(info: _Streams, container: str) -> list[StreamInfo]:
    """Cover art of a sound file, as far as the container takes it."""
    with opened(Path(info.path)) as source:
        pictures = [(stream, source.streams[stream.index]) for stream in info.streams if stream.kind == "video"]
        return [stream for stream, template in pictures if _is_cover(template) and _fits(container, template, False)]


def _fits(container: str, template: Any, lossless: bool) -> bool:
    """Whether a muxer takes a stream: it alone knows, so it is asked to write one packet to nowhere."""
    if template.type == "attachment" or (template.type == "video" and _is_cover(template) and container == "matroska"):
        return container == "matroska"
    if template.type == "data":
        return False
    first = None
    if template.type == "audio":
        first = next((packet for packet in template.container.demux(template) if packet.size), None)
    try:
        with av.open(os.devnull, "w", format=container) as trial:
            copier = add_copy(trial, template, lossless)
            trial.start_encoding()
            if first is not None:
                for packet in (*copier.packets(first), *copier.flush()):
                    trial.mux_one(packet)
    except (av.FFmpegError, ValueError):
        return False
    return True


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


@dataclass(slots=True)
class Copier:
    """One stream on its way over, as it is or re-encoded without loss."""

    stream: Any
    encoder: Any = None

    @property
    def still(self) -> bool:
        """Whether this is cover art."""
        return self.stream.type == "video" and _is_cover(self.stream)

    def is_filler(self, packet: av.Packet[Any]) -> bool:
        """Whether a packet is only the silence between two subtitles, which the muxer writes itself."""
        return self.encoder is None and self.stream.type == "subtitle" and bytes(packet) == b"\0\0"

    def packets(self, packet: av.Packet[Any]) -> Iterator[av.Packet[Any]]:
        """What to write for one packet of the source."""
        if self.encoder is None:
            packet.stream = self.stream
            yield packet
            return
        for frame in packet.decode():
            yield from self._encoded(self.encoder.encode(frame))

    def flush(self) -> Iterator[av.Packet[Any]]:
        """What an encoder still held."""
        if self.encoder is not None:
            yield from self._encoded(self.encoder.encode(None))

    def _encoded(self, packets: Sequence[av.Packet[Any]]) -> Iterator[av.Packet[Any]]:
        for packet in packets:
            packet.stream = self.stream
            yield packet


def add_copies(
    output: av.container.OutputContainer,
    source: av.container.InputContainer,
    streams: Sequence[StreamInfo],
    lossless: bool,
) -> dict[int, Copier]:
    """Make room in the output for streams of the source; returns who carries each, by its index there."""
    copiers: dict[int, Copier] = {}
    matroska = output.format.name == "matroska"
    for info in streams:
        template: Any = source.streams[info.index]
        if info.kind == "attachment":
            _attach(output, template, template.data)
        elif info.kind == "video" and _is_cover(template) and matroska:
            _attach(output, template, _cover(Path(source.name), info.index))
        else:
            copiers[info.index] = add_copy(output, template, lossless)
    return copiers


_COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png"), "bmp": ("cover.bmp", "image/bmp")}


def _attach(output: av.container.OutputContainer, template: Any, data: bytes) -> None:
    name, mimetype = "attachment", "application/octet-stream"
    if template.type == "video":  # cover art, which Matroska holds as an attachment
        name, mimetype = _COVERS.get(template.codec_context.name, (name, mimetype))
    else:
        name, mimetype = template.name or name, template.mimetype or mimetype
    name = template.metadata.get("filename", name)
    attached = output.add_attachment(name, template.metadata.get("mimetype", mimetype), data)
    for key, value in template.metadata.items():
        if key.lower() not in ("filename", "mimetype"):
            attached.metadata[key] = value


def _cover(path: Path, index: int) -> bytes:
    with opened(path) as container:
        return bytes(next(packet for packet in container.demux(container.streams[index]) if packet.size))


def _is_iso(container: Any) -> bool:
    return bool({"mp4", "mov", "ipod"} & set(container.format.name.split(",")))


def add_copy(output: av.container.OutputContainer, template: Any, lossless: bool) -> Copier:
    """Make room in the output for one stream. With `lossless`, plain PCM becomes FLAC where Matroska holds it."""
    encoder = None
    if lossless and output.format.name == "matroska" and template.codec_context.name in _LOSSLESS_TO_FLAC:
        context = template.codec_context
        stream: Any = output.add_stream("flac", rate=context.sample_rate)
        stream.codec_context.layout = context.layout
        stream.codec_context.format = "s32" if "24" in context.name else "s16"
        stream.codec_context.time_base = Fraction(1, context.sample_rate)
        encoder = stream
    else:
        stream = output.add_stream_from_template(template)
        # The source's tag may be another container's; the muxer knows its own, but not which of several it was.
        if not (_is_iso(output) and _is_iso(template.container) and template.codec_context.codec_tag in _KEPT_TAGS):
            stream.codec_context.codec_tag = "\0\0\0\0"
        if template.type == "audio" and template.codec_context.layout.name.endswith(" channels"):
            # Matroska does not say which channels these are, and MP4 wants to know.
            context = template.codec_context
            stream.codec_context.layout = USUAL_LAYOUTS.get(context.channels, context.layout)
    stream.disposition = template.disposition
    stream.metadata.update(own_tags_removed(template.metadata))
    return Copier(stream, encoder)
