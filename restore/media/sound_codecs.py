"""How repaired sound is stored: its own codec at no lower bit rate where that can be had, else without loss."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.codec import Codec

from restore.errors import FormatError
from restore.frames import AudioFormat
from restore.media.options import OutputOptions
from restore.media.sound import MANY_PLANES, SoundTrack, from_float
from restore.media.streams import USUAL_LAYOUTS

SOUND_CONTAINERS = {
    ".wav": "wav", ".flac": "flac", ".mp3": "mp3", ".ogg": "ogg", ".oga": "ogg", ".opus": "opus",
    ".m4a": "ipod", ".aif": "aiff", ".aiff": "aiff", ".mka": "matroska", ".caf": "caf",
}  # fmt: skip
"""Sound files, by suffix, to FFmpeg's muxer."""

CODECS = {
    "aac": "aac", "mp3": "libmp3lame", "opus": "libopus", "ac3": "ac3", "eac3": "eac3", "mp2": "mp2", "flac": "flac",
    "alac": "alac", "wavpack": "wavpack", "pcm16": "pcm_s16le", "pcm24": "pcm_s24le", "pcm32": "pcm_s32le",
    "pcmfloat": "pcm_f32le",
}  # fmt: skip
"""What a person calls it, to FFmpeg's encoder."""
_OWN = {codec: encoder for codec, encoder in CODECS.items() if not codec.startswith("pcm")}
_LEAST = {"aac": 96, "libmp3lame": 96, "libopus": 80, "ac3": 96, "eac3": 96, "mp2": 128}
"""kb/s a channel below which a codec would be heard, whatever the source had."""
_MOST = {"libmp3lame": 320, "mp2": 384, "ac3": 640, "eac3": 3024}
"""kb/s altogether that a codec can have."""
_STEPS = {
    "libmp3lame": (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "mp2": (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    "ac3": (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640),
}  # fmt: skip
LOSSLESS = frozenset({"flac", "alac", "wavpack", "tta"})
_BIG_ENDIAN = frozenset({"aiff"})
_BITS = {"u8": 8, "s16": 16, "s24": 24, "s32": 32}


@dataclass(frozen=True, slots=True)
class SoundSettings:
    """Everything a sound encoder is opened with."""

    container: str
    encoder: str
    format: AudioFormat
    """What comes out. Its rate is the source's unless the codec has no such rate."""
    av_format: str
    """The encoder's own name for the sample format."""
    bits: int
    """Of a sample, where the codec stores whole numbers."""
    bit_rate: int | None = None
    note: str = ""
    """A decision a person should hear of."""

    @property
    def lossless(self) -> bool:
        """Whether the codec keeps every bit."""
        return self.encoder in LOSSLESS or self.encoder.startswith("pcm_")

    def configure(self, context: AudioCodecContext) -> None:
        """Set up an encoder that is not opened yet."""
        context.sample_rate = self.format.rate
        context.layout = self.format.layout
        context.format = self.av_format
        context.time_base = Fraction(1, self.format.rate)
        if self.bit_rate is not None:
            context.bit_rate = self.bit_rate

    def check(self) -> None:
        """Raise FormatError if encoder or container refuse: they alone know, so a moment of silence is written."""
        name = f"{self.container} cannot hold {self.format.layout} {self.format.rate} Hz sound as {self.encoder}"
        try:
            with av.open(os.devnull, "w", format=self.container) as trial:
                stream: Any = trial.add_stream(self.encoder, rate=self.format.rate)
                self.configure(stream.codec_context)
                trial.start_encoding()
                samples = np.zeros((self.format.channels, stream.codec_context.frame_size or 1024), np.float32)
                for packet in (*stream.encode(self.frame(samples, 0)), *stream.encode(None)):
                    trial.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            advice = "choose another --audio-codec, or name the output .mkv or .wav"
            raise FormatError(f"{name} ({reason}); {advice}") from None

    def frame(self, samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]], pts: int) -> av.AudioFrame:
        """(channels, n) float samples as the encoder takes them."""
        layout, rate = self.format.layout, self.format.rate
        many = self.av_format.endswith("p") and self.format.channels >= MANY_PLANES
        name = self.av_format.removesuffix("p") if many else self.av_format
        frame = av.AudioFrame.from_ndarray(from_float(samples, name, self.bits), format=name, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
        return av.AudioResampler(self.av_format, layout, rate).resample(frame)[0] if many else frame

    def describe(self) -> dict[str, object]:
        """For the job and for ``--json``."""
        return {
            "codec": self.encoder, "container": self.container, "rate": self.format.rate, "layout": self.format.layout,
            "sample": self.format.sample, "bit_rate": self.bit_rate,
        }  # fmt: skip


def known_layout(format: AudioFormat) -> str:
    """A layout that an encoder takes: where nobody knows which channels these are, the usual ones of that number."""
    return USUAL_LAYOUTS.get(format.channels, format.layout) if format.layout.endswith("channels") else format.layout


def sound_container(path: Path) -> str | None:
    """FFmpeg's name of the sound file that an output's name asks for; None where it is no sound file."""
    return SOUND_CONTAINERS.get(path.suffix.lower())


def sound_settings(track: SoundTrack, container: str, options: OutputOptions) -> SoundSettings:
    """How a repaired track is stored in a container. Raises FormatError when it cannot be."""
    wanted = options.audio_codec
    if wanted is None:
        encoder, note = _choose(track, container, options.master)
    elif wanted in CODECS:
        encoder, note = CODECS[wanted], ""
    else:
        raise FormatError(f"--audio-codec {wanted}: unknown; there are {', '.join(CODECS)}")
    if encoder.startswith("pcm_") and container in _BIG_ENDIAN:
        encoder = encoder.removesuffix("le") + "be"
    settings = _settings(track, container, encoder, options, note)
    if options.master and not settings.lossless:
        raise FormatError(f"--master: {encoder} loses something; leave --audio-codec out, or name the output .mkv")
    settings.check()
    return settings


def _choose(track: SoundTrack, container: str, master: bool) -> tuple[str, str]:
    codec = track.info.codec
    sample = track.format.sample
    pcm = {"u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s32le", "flt": "pcm_f32le", "dbl": "pcm_f32le"}.get(
        sample, "pcm_s24le"
    )  # fmt: skip
    exact = codec.startswith("pcm_") or codec in LOSSLESS
    if container in ("wav", "aiff", "caf"):
        # What a lossy codec decodes to is float, which few would call its depth.
        return (codec if codec.startswith("pcm_") and container != "aiff" else pcm if exact else "pcm_s24le"), ""
    if container in ("flac", "mp3"):
        return {"flac": "flac", "mp3": "libmp3lame"}[container], ""
    own = codec if codec.startswith("pcm_") else _OWN.get(codec)
    if master:
        lossless = {"matroska": "flac", "ogg": "flac", "mov": "pcm_s24le"}.get(container, "alac")
        return (own if own and exact and container != "matroska" and own != "flac" else lossless), ""
    if container in ("ogg", "opus"):
        if own in ("flac", "libopus"):
            return own, ""
        suits = track.format.rate in (48000, 24000, 16000, 12000, 8000) or container == "opus"
        return ("libopus" if suits else "flac"), ""
    if container == "ipod":
        return (own if own in ("aac", "alac") else "aac"), ""
    if own is not None and _holds(own, track, container):
        return own, ""
    instead = {"matroska": "flac", "webm": "libopus"}.get(container, "alac" if exact else "aac")
    return instead, f"{track}: there is no encoder for {codec} in {container}; it is stored as {instead}"


def _holds(encoder: str, track: SoundTrack, container: str) -> bool:
    try:
        _settings(track, container, encoder, OutputOptions(), "").check()
    except FormatError:
        return False
    return True


def _settings(
    track: SoundTrack, container: str, encoder: str, options: OutputOptions, note: str
) -> SoundSettings:  # fmt: skip
    try:
        codec = Codec(encoder, "w")
    except av.error.FFmpegError:
        raise FormatError(f"this FFmpeg has no encoder {encoder}; choose another --audio-codec") from None
    format = replace(track.format, layout=known_layout(track.format))
    rates = sorted(codec.audio_rates or ())
    if rates and format.rate not in rates:
        rate = next((rate for rate in rates if rate > format.rate), rates[-1])
        format = replace(format, rate=rate)
        note = note or f"{track}: {encoder} has no {track.format.rate} Hz; it is stored at {rate} Hz"
    names = [sample.name for sample in codec.audio_formats or ()]
    av_format, bits = _sample_format(encoder, names, format.sample)
    sample = next((name for name, depth in _BITS.items() if depth == bits), "flt")
    exact = encoder in LOSSLESS or encoder.startswith("pcm_")
    bit_rate = None if exact else _bit_rate(track, encoder, format, options)
    return SoundSettings(container, encoder, replace(format, sample=sample), av_format, bits, bit_rate, note)


def _sample_format(encoder: str, names: list[str], sample: str) -> tuple[str, int]:
    """The encoder's sample format that keeps what the source has, and how many bits count (0: float)."""
    floats = [name for name in names if name.startswith(("flt", "dbl"))]
    lossy = encoder not in LOSSLESS and not encoder.startswith("pcm_")
    if floats and (lossy or sample in ("flt", "dbl") or len(floats) == len(names)):
        return floats[0], 0
    depth = {"u8": 8, "s16": 16}.get(sample, 32)
    sizes = {name: int(name.strip("us p")) for name in names if not name.startswith(("flt", "dbl"))}
    name = min(sizes, key=lambda name: (sizes[name] < depth, sizes[name]))
    stored = 24 if sizes[name] == 32 and encoder not in ("pcm_s32le", "pcm_s32be") else sizes[name]
    return name, stored


def _bit_rate(track: SoundTrack, encoder: str, format: AudioFormat, options: OutputOptions) -> int:
    if options.audio_bitrate is not None:
        wanted = options.audio_bitrate
    else:
        exact = track.info.codec.startswith("pcm_") or track.info.codec in LOSSLESS
        least = _LEAST.get(encoder, 96) * format.channels
        wanted = 2 * least if exact else max(least, -(-(track.bit_rate or 0) // 1000))
    wanted = min(wanted, _MOST.get(encoder, wanted))
    return 1000 * next((step for step in _STEPS.get(encoder, ()) if step >= wanted), wanted)


def excerpt(samples: np.ndarray[Any, np.dtype[np.float32]], format: AudioFormat) -> bytes:
    """(channels, n) samples as a 16-bit FLAC file that a browser plays."""
    memory = io.BytesIO()
    layout = known_layout(format)
    with av.open(memory, "w", format="flac", options={"fflags": "+bitexact"}) as out:
        stream: Any = out.add_stream("flac", rate=format.rate)
        stream.codec_context.layout, stream.codec_context.format = layout, "s16"
        for place in range(0, samples.shape[1], 4096):
            stored = from_float(samples[:, place : place + 4096], "s16", 16)
            frame = av.AudioFrame.from_ndarray(stored, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = format.rate, place, Fraction(1, format.rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return memory.getvalue()
