"""Sound tracks in, of films and of sound files: what there is, and every sample at its exact position."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt

from restore.errors import SourceError
from restore.frames import AudioFormat
from restore.media.probe import StreamInfo, frame_rate_of, opened, stream_info

Block = npt.NDArray[np.float32]
"""(channels, n) samples, nominally [-1, 1], always finite."""

_JUMP_SECONDS = 0.05
"""Times that are off by less than this are how containers round; by more, sound is missing."""
_SILENCE = 65536
"""Samples of silence filled in at once."""
MANY_PLANES = 8
"""PyAV loses count of the planes of a frame that has as many: such frames pass as packed ones."""
_SAMPLED_PACKETS = 400
_DEEP = re.compile(r"[su]24|flac|alac|wavpack|tta|truehd|mlp")
_EDITED = ("mov", "mp4")
"""Containers whose tracks say exactly where they end, in the middle of a codec's frame too."""


@dataclass(frozen=True)
class SoundTrack:
    """One sound track of a file."""

    number: int
    """Counted from 1 among the sound tracks."""
    info: StreamInfo
    format: AudioFormat
    start: Fraction
    """Time of its first sample, in seconds of the file's clock."""
    duration: Fraction | None
    """Seconds, as the container says."""
    bit_rate: int | None
    """As the container says, bits a second."""

    def __str__(self) -> str:
        title = f' "{self.info.title}"' if self.info.title else ""
        language = f" {self.info.language}" if self.info.language else ""
        rate = f"{self.format.rate / 1000:g} kHz"
        return f"track {self.number}: {self.info.codec} {self.format.layout} {rate}{language}{title}"


@dataclass(frozen=True)
class SoundInfo:
    """What a film or a sound file holds, as far as its sound is concerned."""

    path: str
    container: str
    tracks: tuple[SoundTrack, ...]
    has_picture: bool
    """Whether it is a film; cover art is no picture."""
    streams: tuple[StreamInfo, ...]
    """Every stream, the sound tracks too."""
    duration: Fraction | None
    zero: Fraction
    """Time of the first picture, or of the first sample of a sound file, in seconds of the file's clock."""
    frame_rate: Fraction
    """Of the picture; 25 for a sound file."""
    metadata: dict[str, str] = field(default_factory=dict)


def probe_sound(path: Path) -> SoundInfo:
    """Look into a film or sound file; decodes the beginning of each track.

    Raises SourceNotFoundError, SourceError (not media, no sound, nothing of a track decodes).
    """
    with opened(path) as container:
        if not container.streams.audio:
            raise SourceError(f"{path}: has no sound to repair")
        streams = tuple(stream_info(stream) for stream in container.streams)
        duration = Fraction(container.duration, av.time_base) if container.duration else None
        cover = av.stream.Disposition.attached_pic
        pictures = [video for video in container.streams.video if not video.disposition & cover]
        zero, rate = Fraction(0), Fraction(25)
        for picture in pictures[:1]:
            rate = frame_rate_of(picture)
            if picture.start_time is not None and picture.time_base is not None:
                zero = picture.start_time * picture.time_base
        name, metadata = container.format.name, dict(container.metadata)
    sounds = [info for info in streams if info.kind == "audio"]
    tracks = tuple(_track(path, number, info) for number, info in enumerate(sounds, 1))
    if not pictures:
        zero = tracks[0].start
    return SoundInfo(str(path), name, tracks, bool(pictures), streams, duration, zero, rate, metadata)


def _track(path: Path, number: int, info: StreamInfo) -> SoundTrack:
    with opened(path) as container:
        stream = cast(av.AudioStream, container.streams[info.index])
        frame = next(_frames(container, stream, [0]), None)
        if frame is None:
            raise SourceError(f"{path}: no sound of track {number} ({info.codec}) can be decoded")
        base = frame.time_base or stream.time_base or Fraction(1, frame.sample_rate)
        start = Fraction(frame.pts or 0) * base
        length = None if stream.duration is None or stream.time_base is None else stream.duration * stream.time_base
        rate = stream.codec_context.bit_rate or _measured_rate(path, info.index)
        return SoundTrack(number, info, _format(frame, info.codec), start, length, rate)


def _measured_rate(path: Path, index: int) -> int | None:
    """Bits a second of the first packets of a track, where the container does not say."""
    size, seconds = 0, Fraction(0)
    with opened(path) as container:
        for packet in islice(container.demux(container.streams[index]), _SAMPLED_PACKETS):
            if packet.duration and packet.time_base:
                size, seconds = size + packet.size, seconds + packet.duration * packet.time_base
    return round(8 * size / seconds) if seconds else None


def _format(frame: av.AudioFrame, codec: str) -> AudioFormat:
    sample = frame.format.packed.name
    if sample == "s32" and _DEEP.search(codec):
        sample = "s24"
    channels = frame.layout.nb_channels
    return AudioFormat(frame.sample_rate, _layout(frame.layout.name, channels), channels, sample)


def _layout(name: str, channels: int) -> str:
    """A track of one or two channels that does not say which they are is taken for mono or stereo."""
    return {1: "mono", 2: "stereo"}.get(channels, name) if name.endswith("channels") else name


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream, errors: list[int], size: list[int] | None = None
) -> Iterator[av.AudioFrame]:
    """Decoded frames; counts what does not decode in `errors`, and the packets' bytes in `size`."""
    packets = container.demux(stream)
    while True:
        try:
            packet = cast("av.Packet[Any] | None", next(packets, None))
        except av.EOFError:
            return
        except av.FFmpegError:
            errors[0] += 1
            return  # the container itself ends here; what came before counts
        if packet is None:
            return
        if size is not None:
            size[0] += packet.size
        try:
            yield from cast("list[av.AudioFrame]", packet.decode())
        except av.EOFError:
            return
        except av.FFmpegError:
            errors[0] += 1


class SoundReader:
    """One reading of one track, from its first sample to its last.

    Where the times of the file leave a hole (damage, a broken capture), silence fills it, so that what follows stays
    in its place. Samples that are no numbers become silence. What was met is counted while reading.
    """

    def __init__(self, path: Path, track: SoundTrack) -> None:
        self.path, self.track = path, track
        self.length = 0
        """Samples so far."""
        self.holes: list[tuple[int, int]] = []
        """Where silence is filled in because the file has nothing: positions of first samples, and how many."""
        self.not_finite = 0
        """Samples that were NaN or infinite."""
        self._errors = [0]
        self._bytes = [0]

    @property
    def decode_errors(self) -> int:
        """Packets that did not decode."""
        return self._errors[0]

    @property
    def bit_rate(self) -> int:
        """Bits a second of what was read, measured."""
        return round(8 * self._bytes[0] * self.track.format.rate / max(1, self.length))

    def blocks(self) -> Iterator[Block]:
        """Samples in order, in blocks of whatever size the decoder gives."""
        format = self.track.format
        with opened(self.path) as container:
            stream = cast(av.AudioStream, container.streams[self.track.info.index])
            stream.codec_context.thread_type = "AUTO"
            end = self._end(container, stream)
            origin: Fraction | None = None
            for frame in self._alike(_frames(container, stream, self._errors, self._bytes)):
                base = frame.time_base
                if frame.pts is not None and base is not None:
                    time = frame.pts * base
                    if origin is None:
                        origin = time - Fraction(self.length, format.rate)
                    missing = round((time - origin) * format.rate) - self.length
                    if missing > _JUMP_SECONDS * format.rate:
                        yield from self._silence(missing)
                    elif missing < -_JUMP_SECONDS * format.rate:
                        origin = None  # times that go back: the samples follow each other, whatever they say
                block = self._finite(samples_of(frame, format.channels))
                if end is not None and 0 < self.length + block.shape[1] - end < block.shape[1]:
                    block = block[:, : end - self.length]
                self.length += block.shape[1]
                yield block

    def _end(self, container: av.container.InputContainer, stream: av.AudioStream) -> int | None:
        """Where the container says that the sound ends, in the middle of the codec's last frame."""
        if not any(name in container.format.name.split(",") for name in _EDITED) or not stream.duration:
            return None
        # The duration of the whole film is kept in coarser ticks; a length rounded by them is no reason to cut.
        exact = stream.duration * (stream.time_base or 0) * self.track.format.rate
        return -(-exact.numerator // exact.denominator) if exact else None

    def _silence(self, samples: int) -> Iterator[Block]:
        self.holes.append((self.length, samples))
        self.length += samples
        for first in range(0, samples, _SILENCE):
            yield np.zeros((self.track.format.channels, min(_SILENCE, samples - first)), np.float32)

    def _finite(self, block: Block) -> Block:
        bad = ~np.isfinite(block)
        if bad.any():
            self.not_finite += int(bad.sum())
            block = np.where(bad, np.float32(0), block)
        return block

    def _alike(self, frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
        """Frames in the track's own rate and layout: a broadcast may change them in the middle of a film."""
        format, resampler = self.track.format, None
        for frame in frames:
            layout = _layout(frame.layout.name, frame.layout.nb_channels)
            if (frame.sample_rate, layout) == (format.rate, format.layout):
                yield frame
                continue
            if resampler is None:
                resampler = av.AudioResampler("fltp", format.layout, format.rate)
            yield from resampler.resample(frame)


def samples_of(frame: av.AudioFrame, channels: int) -> Block:
    """A decoded frame as (channels, n) float32."""
    if frame.format.is_planar and channels >= MANY_PLANES:
        [frame] = av.AudioResampler(frame.format.packed, frame.layout, frame.sample_rate).resample(frame)
    return as_float(frame.to_ndarray(), frame.format.name, channels)


def as_float(samples: npt.NDArray[Any], name: str, channels: int) -> Block:
    """Samples as FFmpeg's format `name` stores them, planar or not, to (channels, n) float32 of nominally [-1, 1]."""
    planes: npt.NDArray[Any] = samples if name.endswith("p") else samples.reshape(-1, channels).T
    kind = planes.dtype
    if kind == np.uint8:
        scaled = (planes.astype(np.float32) - 128) / 128
    elif kind.kind == "i":
        wide: npt.NDArray[Any] = planes.astype(np.float32 if kind.itemsize == 2 else np.float64)
        scaled = wide * 2.0 ** (1 - 8 * kind.itemsize)  # exact: a power of two
    else:
        scaled = planes
    return np.ascontiguousarray(scaled, dtype=np.float32)


def from_float(block: Block, name: str, bits: int) -> npt.NDArray[Any]:
    """What `as_float` undoes: (channels, n) float32 to planes or interleaved samples, rounded to `bits`, clipped."""
    packed = name.removesuffix("p")
    if packed in ("flt", "dbl"):
        stored: npt.NDArray[Any] = block.astype(np.float32 if packed == "flt" else np.float64)
    else:
        size = {"u8": 8, "s16": 16, "s32": 32}[packed]
        peak = float(2 ** (bits - 1))
        exact: npt.NDArray[Any] = block.astype(np.float32 if bits <= 24 else np.float64)  # so many bits fit in
        whole = np.clip(np.rint(exact * peak), -peak, peak - 1).astype(np.int32)
        if size == 8:
            stored = (whole + 128).astype(np.uint8)
        else:
            stored = (whole << (size - bits)).astype(np.int16 if size == 16 else np.int32)
    return np.ascontiguousarray(stored if name.endswith("p") else stored.T.reshape(1, -1))
