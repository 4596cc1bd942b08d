"""Options of `loudness`. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class LoudnessOptions(AudioStageOptions):
    """Bring a track to an even loudness from film to film, after EBU R 128: one gain for all of it, peaks held back.

    Loudness is measured over the whole track as ITU-R BS.1770 has it, silence not counted. The gain changes nothing
    within the film; only peaks that would pass the ceiling are turned down for some hundredths of a second.
    """

    strength: float = Field(1.0, ge=0, le=1, description="1 reaches the target, 0.5 goes half the way in decibels.")
    target: float = Field(
        -23.0, ge=-50, le=-5, description="Loudness in LUFS: -23 for broadcast (EBU R 128), -16 to -14 for the web."
    )
    true_peak: float = Field(-1.0, ge=-20, le=0, description="Ceiling of the true peaks, in dBTP.")
    most_gain: float = Field(
        30.0, ge=0, le=80, description="Never turn up by more than this many dB: a silent track holds only noise."
    )
