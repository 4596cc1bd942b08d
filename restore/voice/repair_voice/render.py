"""The rendering half of `repair-voice`: cycles made even, then the voice's tone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from restore.analysis.pitch import at_every
from restore.analysis.spectrum import ShortTime
from restore.frames import AudioBatch, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, AudioWindow, State
from restore.pipeline.contract import Device
from restore.provenance.consent import Claim, checked_claim
from restore.voice.repair_voice.analysis import BANDS, WornVoiceAnalyzer, guide_of, reference_digest, reference_spectrum
from restore.voice.repair_voice.cycles import mended, turns_of
from restore.voice.repair_voice.options import RepairVoiceOptions

_REACH_SECONDS = 0.25


class RepairVoice(AudioStage[RepairVoiceOptions]):
    """Works where the plan says there is a voice; everything else stays as it is."""

    name = "repair-voice"
    version = 3
    fixed: ClassVar[frozenset[str]] = frozenset({"reference", "consent", "own_work", "test_material"})

    def check(self, format: AudioFormat) -> None:
        """A person's voice is altered: somebody must have said that this is right. The reference must hold a voice."""
        self.consent()
        if self.options.reference is not None:
            reference_spectrum(self.options.reference)

    def effective(self) -> dict[str, Any]:
        """The options, what was checked of the consent, and what the reference holds, whatever it is called."""
        options = self.options.effective()
        if self.options.reference is not None:
            options["reference"] = {"sha256": reference_digest(self.options.reference)}
        return {**options, "claim": self.consent()}

    def consent(self) -> dict[str, Any]:
        """The claim of the options, checked."""
        options = self.options
        record = None if options.consent is None else Path(options.consent)
        return checked_claim(Claim(record, options.own_work, options.test_material), "voice")

    def analyzer(self) -> AudioAnalyzer:
        """What follows the pitch."""
        return WornVoiceAnalyzer(self.options)

    def window(self, format: AudioFormat) -> AudioWindow:
        """Some cycles, and what prosody is judged by."""
        reach = ShortTime(format.rate, 0.04).samples(_REACH_SECONDS)
        return AudioWindow(reach, reach)

    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Take pitch and tone from the plan."""
        self._usual = state.values.get("usual_hertz")
        self._stft = ShortTime(format.rate, 0.04)
        if self._usual is not None:
            self._pitch = torch.from_numpy(state.arrays["pitch"]).double()
        self._tone = None
        if state.values.get("tone") is not None:
            tone = torch.tensor(state.values["tone"], dtype=torch.float64)
            place = (torch.log2(self._stft.hertz.double().clamp(min=1) / BANDS[0]) * 3).clamp(0, len(BANDS) - 1)
            lower = place.floor().long().clamp(max=len(BANDS) - 2)
            self._tone = torch.lerp(tone[lower], tone[lower + 1], place - lower)

    def process(self, batch: AudioBatch) -> Tensor:
        """The voice, steadied; chunk by chunk, since each has a pitch of its own."""
        result = batch.samples[:, :, batch.core].clone()
        if self._usual is None:
            return result
        low = batch.format.low_channel
        for row, start in enumerate(batch.starts):
            samples = batch.samples[row].cpu()
            hertz = at_every(self._pitch, start - batch.core.start, samples.shape[1], batch.format.rate)
            if not bool((hertz > 0).any()):
                continue
            repaired = self._repaired(samples, hertz, batch.format)
            if low is not None:
                repaired[low] = samples[low]
            result[row] = repaired[:, batch.core].to(result)
        return result

    def _repaired(self, samples: Tensor, hertz: Tensor, format: AudioFormat) -> Tensor:
        options = self.options
        even, alike = options.strength * options.steadiness, options.strength * options.smoothness
        guide = guide_of(samples, format)
        sound = mended(samples, guide, hertz, format.rate, float(self._usual or 0), even, alike)
        if self._tone is None:
            return sound
        gain = 10 ** (self._tone * options.strength * options.tone / 20)
        toned = self._stft.backward(self._stft.forward(sound) * gain[:, None].float(), sound.shape[1])
        return sound + (toned - sound) * turns_of(hertz, format.rate, 1.0)[1]
