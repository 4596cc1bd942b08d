"""Finding a voice's pitch and long-term spectrum, in a track and in its reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restore.analysis.pitch import pitch_hop, pitch_track
from restore.analysis.spectrum import ShortTime
from restore.errors import OptionError
from restore.frames import AudioChunk, AudioFormat
from restore.media.sound import SoundReader, probe_sound
from restore.pipeline.audio_contract import AudioAnalyzer, State
from restore.voice.repair_voice.options import RepairVoiceOptions

_CONTEXT_SECONDS = 0.5
_FEWEST = 100
"""Voiced frames, half a second, without which nothing is said of a voice."""
BANDS = tuple(float(round(1000 * 2 ** (step / 3))) for step in range(-10, 12))
"""Third octaves, 99 Hz to 10 kHz."""
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
        self._measure(found, first * self._hop, (first + len(new)) * self._hop)
        self._done += len(new)
        keep = max(0, self._done * self._hop - context) // self._hop * self._hop
        self._held = self._held[keep - self._held_from :]
        self._held_from = keep

    def _measure(self, pitch: Tensor, first: int, stop: int) -> None:
        power = self._stft.forward(self._held[None]).abs().square()[0].double()
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


def reference_spectrum(path: str) -> list[float]:
    """The long-term spectrum of the voice in a file. Raises SourceError, or OptionError where there is no voice."""
    track = probe_sound(Path(path)).tracks[0]
    meter = VoiceMeter(track.format.rate)
    held: list[Tensor] = []
    for block in SoundReader(Path(path), track).blocks():
        held.append(torch.from_numpy(np.ascontiguousarray(block)).float().mean(0))
        if sum(map(len, held)) > 4 * track.format.rate:
            meter.add(torch.cat(held))
            held = []
    meter.add(torch.cat(held) if held else torch.zeros(0), last=True)
    found = meter.spectrum()
    if found is None:
        raise OptionError(f"repair-voice: no voice was found in the reference {path}; name a recording of speech")
    return found


class WornVoiceAnalyzer(AudioAnalyzer):
    """Follows the pitch; compares the long-term spectrum with the reference's."""

    def __init__(self, options: RepairVoiceOptions) -> None:
        self._options = options

    def begin(self, format: AudioFormat) -> None:
        """Read the reference, if there is one."""
        self._wanted = None if self._options.reference is None else reference_spectrum(self._options.reference)
        self._format = format
        self._meter = VoiceMeter(format.rate)

    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk."""
        self._meter.add(guide_of(chunk.samples, self._format))

    def finish(self) -> State:
        """``pitch``: (frames,) float32 hertz. ``usual_hertz``: its median, null where there is no voice; ``voiced``:
        the share of frames with one; ``tone``: dB by which each of `BANDS` is to be raised, null without a reference.
        """
        self._meter.add(torch.zeros(0), last=True)
        pitch, own = self._meter.pitch(), self._meter.spectrum()
        voiced = pitch[pitch > 0]
        tone = None
        if self._wanted is not None and own is not None:
            away = np.array(self._wanted) - np.array(own)
            smooth = np.convolve(np.pad(away, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
            tone = [round(float(value), 2) for value in np.clip(smooth, -_MOST_TONE, _MOST_TONE)]
        values = {
            "usual_hertz": round(float(voiced.median()), 1) if len(voiced) >= _FEWEST else None,
            "voiced": round(len(voiced) / max(1, len(pitch)), 3),
            "tone": tone,
        }
        return State(values, {"pitch": pitch.float().numpy()})


def guide_of(samples: Tensor, format: AudioFormat) -> Tensor:
    """(n,) of (channels, n): the mean of the channels that may hold a voice; the centre alone where there is one."""
    names = format.names
    if "FC" in names and len(names) > 1:
        return samples[names.index("FC")]
    return samples.mean(0)
