"""Finding a voice's pitch and long-term spectrum, in a track and in its reference."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restore.analysis.pitch import at_every, pitch_hop, pitch_track
from restore.analysis.spectrum import ShortTime
from restore.errors import OptionError, SourceNotFoundError
from restore.frames import AudioChunk, AudioFormat
from restore.media.sound import SoundReader, probe_sound
from restore.pipeline.audio_contract import AudioAnalyzer, State
from restore.voice.repair_voice.cycles import mended
from restore.voice.repair_voice.options import RepairVoiceOptions

_CONTEXT_SECONDS = 0.5
_FEWEST = 100
"""Voiced frames, half a second, without which nothing is said of a voice."""
BANDS = tuple(float(round(1000 * 2 ** (step / 3))) for step in range(-10, 12))
"""Third octaves, 99 Hz to 10 kHz."""
_SAMPLES = 8
"""Chunks that are repaired while analysing, to hear what that does to the tone."""
_MOST_TONE = 9.0
"""dB by which a band is raised or lowered."""


class VoiceMeter:
    """Pitch and mean voiced spectrum of a voice that comes in pieces; remembers half a second."""

    def __init__(self, rate: int) -> None:
        self._rate, self._hop = rate, pitch_hop(rate)
        self._held = torch.zeros(0)
        self._held_from = 0
        self._heard = 0
        self._done = 0
        self._pitch: list[Tensor] = []
        self._stft = ShortTime(rate, 0.04)
        self._power = torch.zeros(self._stft.bins, dtype=torch.float64)
        self._frames = 0

    def add(self, mono: Tensor, last: bool = False) -> None:
        """Hear the next samples, (n,); what lies at their end waits for those after them."""
        self._held = torch.cat((self._held, mono))
        self._heard += len(mono)
        context = round(_CONTEXT_SECONDS * self._rate)
        ready = -(-self._heard // self._hop) if last else (self._heard - context) // self._hop
        if ready <= self._done or not len(self._held):
            return
        found = pitch_track(self._held, self._rate)
        first = self._done - self._held_from // self._hop
        new = found[first : first + ready - self._done]
        self._pitch.append(new)
        self.measure(self._held, found, first * self._hop, (first + len(new)) * self._hop)
        self._done += len(new)
        keep = max(0, self._done * self._hop - context) // self._hop * self._hop
        self._held = self._held[keep - self._held_from :]
        self._held_from = keep

    def measure(self, sound: Tensor, pitch: Tensor, first: int = 0, stop: int | None = None) -> None:
        """Add what is voiced in samples [first, stop) of a sound, whose pitch is known, to the mean spectrum."""
        stop = len(sound) if stop is None else stop
        power = self._stft.forward(sound[None]).abs().square()[0].double()
        at = torch.arange(power.shape[1]) * self._stft.hop
        voiced = pitch[(at // self._hop).clamp(max=len(pitch) - 1)] > 0
        used = voiced & (at >= first) & (at < stop)
        self._power += power[:, used].sum(1)
        self._frames += int(used.sum())

    def pitch(self) -> Tensor:
        """(frames,) hertz, 0 where there is no voice."""
        return torch.cat(self._pitch) if self._pitch else torch.zeros(0, dtype=torch.float64)

    def spectrum(self) -> list[float] | None:
        """dB in each of `BANDS`, voiced sounds only, 200 to 2000 Hz at 0 in the mean; None for too little voice."""
        if self._frames < _FEWEST * self._hop // self._stft.hop or not bool(self._power.any()):
            return None
        hertz = self._stft.hertz
        levels = []
        for band in BANDS:
            inside = (hertz >= band * 2 ** (-1 / 6)) & (hertz < band * 2 ** (1 / 6))
            inside = inside if bool(inside.any()) else (hertz - band).abs() == (hertz - band).abs().min()
            levels.append(10 * float(torch.log10(self._power[inside].mean() + 1e-12)))
        middle = [level for band, level in zip(BANDS, levels, strict=True) if 200 <= band <= 2000]
        return [round(level - float(np.mean(middle)), 2) for level in levels]


def reference_digest(path: str) -> str:
    """SHA-256 of a reference's content. Raises SourceNotFoundError."""
    return _read_reference(path).digest


def reference_spectrum(path: str) -> tuple[float, ...]:
    """The long-term spectrum of the voice in a file. Raises SourceError, or OptionError where there is no voice."""
    return _read_reference(path).spectrum


class _Reference:
    """A file as it was when it was first asked for: hashed and heard once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed = path.stat().st_mtime_ns

    @cached_property
    def digest(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def spectrum(self) -> tuple[float, ...]:
        track = probe_sound(self.path).tracks[0]
        meter = VoiceMeter(track.format.rate)
        held: list[Tensor] = []
        for block in SoundReader(self.path, track).blocks():
            held.append(guide_of(torch.from_numpy(np.ascontiguousarray(block)).float(), track.format))
            if sum(map(len, held)) > 4 * track.format.rate:
                meter.add(torch.cat(held))
                held = []
        meter.add(torch.cat(held) if held else torch.zeros(0), last=True)
        found = meter.spectrum()
        if found is None:
            raise OptionError(
                f"repair-voice: no voice was found in the reference {self.path}; name a recording of speech"
            )
        return tuple(found)


_references: dict[str, _Reference] = {}


def _read_reference(path: str) -> _Reference:
    try:
        if path not in _references or _references[path].changed != Path(path).stat().st_mtime_ns:
            _references[path] = _Reference(Path(path))
    except OSError:
        raise SourceNotFoundError(f"repair-voice: the reference {path} cannot be read") from None
    return _references[path]


class WornVoiceAnalyzer(AudioAnalyzer):
    """Follows the pitch; compares the long-term spectrum with the reference's."""

    def __init__(self, options: RepairVoiceOptions) -> None:
        self._options = options

    def begin(self, format: AudioFormat) -> None:
        """Read the reference, if there is one."""
        self._wanted = None if self._options.reference is None else reference_spectrum(self._options.reference)
        self._format = format
        self._meter = VoiceMeter(format.rate)
        self._samples: dict[int, Tensor] = {}
        self._every = 1

    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk; keep some, evenly spread, to hear later what the repair does to them."""
        guide = guide_of(chunk.samples, self._format)
        self._meter.add(guide)
        number = chunk.start // self._format.chunk
        if self._wanted is None or number % self._every:
            return
        self._samples[number] = guide.clone()
        if len(self._samples) > _SAMPLES:
            self._every *= 2
            self._samples = {n: samples for n, samples in self._samples.items() if n % self._every == 0}

    def finish(self) -> State:
        """``pitch``: (frames,) float32 hertz. ``usual_hertz``: its median, null where there is no voice; ``voiced``:
        the share of frames with one; ``tone``: dB by which each of `BANDS` is to be raised, null without a reference.
        """
        self._meter.add(torch.zeros(0), last=True)
        pitch, own = self._meter.pitch(), self._meter.spectrum()
        voiced = pitch[pitch > 0]
        usual = float(voiced.median()) if len(voiced) >= _FEWEST else None
        tone = None
        if self._wanted is not None and own is not None and usual is not None:
            away = np.array(self._wanted) - np.array(own) - self._change(pitch, usual)
            smooth = np.convolve(np.pad(away, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
            tone = [round(float(value), 2) for value in np.clip(smooth, -_MOST_TONE, _MOST_TONE)]
        values = {
            "usual_hertz": None if usual is None else round(usual, 1),
            "voiced": round(len(voiced) / max(1, len(pitch)), 3),
            "tone": tone,
        }
        return State(values, {"pitch": pitch.float().numpy()})

    def _change(self, pitch: Tensor, usual: float) -> np.ndarray:
        """dB by which making cycles alike changes each of `BANDS` by itself: it wears down the treble."""
        rate, options = self._format.rate, self._options
        meters = VoiceMeter(rate), VoiceMeter(rate)
        for number, samples in self._samples.items():
            hertz = at_every(pitch, number * self._format.chunk, len(samples), rate)
            frames = hertz[:: pitch_hop(rate)]
            repaired = mended(
                samples[None], samples, hertz, rate, usual,
                options.strength * options.steadiness, options.strength * options.smoothness,
            )[0]  # fmt: skip
            for meter, sound in zip(meters, (samples, repaired), strict=True):
                meter.measure(sound, frames)
        before, after = (meter.spectrum() for meter in meters)
        return np.zeros(len(BANDS)) if before is None or after is None else np.array(after) - np.array(before)


def guide_of(samples: Tensor, format: AudioFormat) -> Tensor:
    """(n,) of (channels, n): the mean of the channels that may hold a voice; the centre alone where there is one."""
    names = format.names
    if "FC" in names and len(names) > 1:
        return samples[names.index("FC")]
    return samples.mean(0)
