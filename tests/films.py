"""Tiny films made on the fly, and what can be read back of a film: times, packets, pictures, sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from restore.frames import PixelFormat, Planes
from restore.media.planes import planar_format, plane_view, to_frame, to_planes

Tags = tuple[int, int, int, int]
"""Primaries, transfer, matrix (H.273 numbers, 2 = unspecified) and range (0 unspecified, 1 limited, 2 full)."""
UNTAGGED: Tags = (2, 2, 2, 0)


@dataclass(frozen=True)
class Sound:
    """A sound track: a low hum with one click."""

    codec: str = "aac"
    rate: int = 48000
    layout: str = "mono"
    start: Fraction = Fraction(0)
    """When its first sample is heard, seconds."""
    seconds: float = 0.6
    click: float = 0.24
    """When the click is heard, in seconds of the film."""
    language: str | None = None
    title: str | None = None
    disposition: int = 0


@dataclass(frozen=True)
class FilmSpec:
    """What `make_film` is asked for."""

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    frames: int = 12
    fps: Fraction = Fraction(25)
    time_base: Fraction | None = None
    pts: Sequence[int] | None = None
    tags: Tags = UNTAGGED
    sounds: Sequence[Sound] = ()
    subtitles: Sequence[tuple[str, float, float, str]] = ()
    """Language, start, seconds, text: a stream each."""
    chapters: Sequence[tuple[float, float, str]] = ()
    attachments: Sequence[tuple[str, str, bytes]] = ()
    rotation: int = 0
    sample_aspect: Fraction | None = None
    timecode: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    video_metadata: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    pictures: Callable[[int], Planes] | None = None
    """The planes of frame n; a moving pattern if not given."""
    gop: int | None = None
    sar_of_frames: bool = False


def pattern(pixel: PixelFormat, width: int, height: int, number: int) -> Planes:
    """Smooth waves that move with the frame number, inside the limited range, in every plane."""
    planes = []
    for plane in range(pixel.plane_count):
        rows, columns = pixel.plane_size(plane, width, height)
        y, x = np.mgrid[0:rows, 0:columns]
        wave = 0.5 + 0.3 * np.sin(x / (3 + plane) + number * 0.7) * np.cos(y / (4 + plane) - number * 0.3)
        if pixel.is_float:
            planes.append(wave.astype(np.float32))
        else:
            planes.append(np.round(wave * (2**pixel.depth - 1)).astype(pixel.dtype))
    return tuple(planes)


def flat(pixel: PixelFormat, width: int, height: int, level: float) -> Planes:
    """One grey."""
    return tuple(
        np.full(pixel.plane_size(p, width, height), round(level * (2**pixel.depth - 1)), pixel.dtype)
        if p == 0 or pixel.model == "rgb"
        else np.full(pixel.plane_size(p, width, height), 2 ** (pixel.depth - 1), pixel.dtype)
        for p in range(pixel.plane_count)
    )


def samples_of(sound: Sound) -> npt.NDArray[np.float64]:
    """The sound in [-1, 1]."""
    count = round(sound.seconds * sound.rate)
    time = np.arange(count) / sound.rate
    values = 0.02 * np.sin(2 * np.pi * 110 * time)
    place = round((sound.click - float(sound.start)) * sound.rate)
    width = sound.rate // 1000
    if 0 <= place < count - width:
        values[place : place + width] = 0.9
    return values


def write_film(path: Path, spec: FilmSpec) -> Path:
    """Encode and mux a film."""
    formats = {".mkv": "matroska", ".ts": "mpegts", ".m2v": "mpeg2video"}
    with av.open(str(path), "w", format=formats.get(path.suffix), options=dict(spec.muxer)) as out:
        out.metadata.update(spec.metadata)
        video = _video(out, spec)
        sounds = [_sound_stream(out, sound) for sound in spec.sounds]
        titles = [_subtitle_stream(out, path, language) for language, *_ in spec.subtitles]
        for name, mimetype, data in spec.attachments:
            out.add_attachment(name, mimetype, data)
        if spec.chapters:
            out.set_chapters(
                [{"id": n, "start": round(a * 1000), "end": round(b * 1000), "time_base": Fraction(1, 1000),
                  "metadata": {"title": title}} for n, (a, b, title) in enumerate(spec.chapters, 1)]
            )  # fmt: skip
        out.start_encoding()
        packets: list[Any] = []
        for sound, stream in zip(spec.sounds, sounds, strict=True):
            packets += _sound_packets(sound, stream)
        for (_, start, seconds, text), stream in zip(spec.subtitles, titles, strict=True):
            packets.append(_subtitle(stream, path, start, seconds, text))
        packets += _video_packets(video, spec)
        packets.sort(key=lambda packet: (packet.dts if packet.dts is not None else packet.pts) * packet.time_base)
        for packet in packets:
            out.mux_one(packet)
    return path


def _video(out: Any, spec: FilmSpec) -> Any:
    options = dict(spec.options)
    if spec.codec in ("libx264", "libx265"):
        options.setdefault("preset", "ultrafast" if spec.codec == "libx265" else "veryfast")
    if spec.codec == "libx265":
        options["x265-params"] = ":".join(filter(None, ("log-level=none", options.get("x265-params", ""))))
    stream = out.add_stream(spec.codec, rate=spec.fps, options=options)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = *spec.size, spec.pix_fmt
    context.time_base = stream.time_base = spec.time_base or 1 / spec.fps
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = spec.tags
    context.thread_count = 1
    if spec.gop is not None:
        context.gop_size = spec.gop
    if spec.sample_aspect is not None:
        context.sample_aspect_ratio = spec.sample_aspect
    if spec.rotation:
        stream.set_display_rotation(spec.rotation)
    if spec.timecode:
        stream.metadata["timecode"] = spec.timecode
    stream.metadata.update(spec.video_metadata)
    return stream


def _video_packets(stream: Any, spec: FilmSpec) -> list[Any]:
    pixel, twin = planar_format(spec.pix_fmt)
    times = spec.pts
    if times is None:
        step = 1 / (spec.fps * stream.codec_context.time_base)
        times = [round(n * step) for n in range(spec.frames)]
    packets = []
    for number, pts in enumerate(times):
        planes = spec.pictures(number) if spec.pictures else pattern(pixel, *spec.size, number)
        frame = to_frame(planes, pixel, *spec.size)
        if twin != spec.pix_fmt:
            frame = frame.reformat(format=spec.pix_fmt, src_color_range=1, dst_color_range=1)
        frame.pts, frame.time_base = pts, stream.codec_context.time_base
        frame.color_range = spec.tags[3]
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _sound_stream(out: Any, sound: Sound) -> Any:
    stream = out.add_stream(sound.codec, rate=sound.rate)
    stream.codec_context.layout = sound.layout
    if sound.language:
        stream.metadata["language"] = sound.language
    if sound.title:
        stream.metadata["title"] = sound.title
    stream.disposition = av.stream.Disposition(sound.disposition)
    return stream


def _sound_packets(sound: Sound, stream: Any) -> list[Any]:
    values = samples_of(sound)
    channels = stream.codec_context.layout.nb_channels
    data = np.round(np.repeat(values[:, None], channels, 1) * 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(data.reshape(1, -1), "s16", sound.layout)
    frame.sample_rate = sound.rate
    frame.pts = 0
    frame.time_base = Fraction(1, sound.rate)
    packets = stream.encode(frame) + stream.encode(None)
    for packet in packets:
        offset = round(sound.start / packet.time_base)
        packet.pts += offset
        packet.dts += offset
    return list(packets)


def _subtitle_stream(out: Any, path: Path, language: str) -> Any:
    stream = out.add_mux_stream("mov_text" if path.suffix in (".mp4", ".mov") else "subrip")
    stream.metadata["language"] = language
    stream.time_base = Fraction(1, 1000)
    return stream


def _subtitle(stream: Any, path: Path, start: float, seconds: float, text: str) -> Any:
    data = text.encode()
    if path.suffix in (".mp4", ".mov"):
        data = len(data).to_bytes(2, "big") + data
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = round(start * 1000)
    packet.duration = round(seconds * 1000)
    return packet


def reel_of_shots(path: Path) -> Path:
    """Three shots of flickering texture."""

    def planes(number: int) -> Planes:
        texture = np.random.default_rng(number // 30).integers(40, 200, (48, 64))
        flicker = 1 + 0.1 * np.sin(number * 2.1)
        grey = np.full((24, 32), 128, np.uint8)
        return np.clip(texture * flicker, 16, 235).astype(np.uint8), grey, grey

    return write_film(path, FilmSpec(codec="ffv1", frames=90, pictures=planes))


# --- reading back ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """One decoded picture."""

    time: Fraction
    planes: Planes
    key: bool


def decode(path: Path, limit: int | None = None) -> list[Shown]:
    """Every picture of a film; decoding errors are raised."""
    shown = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        for frame in container.decode(stream):
            pixel, twin = planar_format(frame.format.name)
            shown.append(Shown(frame.pts * frame.time_base, to_planes(frame, pixel, twin), bool(frame.key_frame)))
            if limit and len(shown) >= limit:
                break
    return shown


def packets_of(path: Path, kind: str, number: int = 0) -> list[tuple[Fraction, Fraction, bytes]]:
    """(pts, dts, payload) of one stream's packets, times in seconds."""
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][number]
        return [
            (p.pts * p.time_base, (p.pts if p.dts is None else p.dts) * p.time_base, bytes(p))
            for p in container.demux(stream)
            if p.size
        ]  # fmt: skip


def heard(path: Path, number: int = 0) -> tuple[Fraction, int, npt.NDArray[Any]]:
    """Time of the first decoded sample, the rate, and all samples (channels, n)."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[number]
        frames = [frame for frame in container.decode(stream) if frame.samples]
        first = frames[0].pts * frames[0].time_base
        rows = []
        for frame in frames:
            values = frame.to_ndarray()
            rows.append(values if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels).T)
        return first, frames[0].sample_rate, np.concatenate(rows, axis=1)


def click_time(path: Path, number: int = 0) -> float:
    """When the click of a `Sound` is heard, seconds, to a fraction of a millisecond."""
    first, rate, samples = heard(path, number)
    values = np.abs(samples[0].astype(np.float64))
    loud = np.flatnonzero(values > values.max() * 0.5)
    return float(first) + loud[0] / rate


def av_offset(path: Path, number: int = 0) -> float:
    """Seconds from the first picture to the click."""
    return click_time(path, number) - float(decode(path, 1)[0].time)


def view(frame: av.VideoFrame, plane: int) -> npt.NDArray[Any]:
    """The stored samples of one plane."""
    return np.asarray(plane_view(frame.planes[plane], np.dtype(np.uint8)))
