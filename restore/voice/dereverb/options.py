"""Options of `dereverb`. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class DereverbOptions(AudioStageOptions):
    """Bring a voice nearer that was recorded from afar: the room's late reverberation, its wash, taken down.

    How the room answers is learned from the track itself, and what it answers to the last tenths of a second is
    subtracted; what is left of the wash is turned down. Early reflections stay: they are what makes a voice sound
    somewhere at all.
    """

    strength: float = Field(1.0, ge=0, le=1, description="Share of the reverberation that is taken away; 0 leaves it.")
    reach: float = Field(
        0.25, ge=0.05, le=0.6, description="Seconds that the room's answer is predicted from: longer for larger rooms."
    )
    decay: float = Field(
        0.6, ge=0.1, le=3, description="Seconds in which the room's sound falls by 60 dB: 0.3 furnished, 2 a church."
    )
    atten_limit: float = Field(
        8.0, ge=0, le=30,
        description="Turn what is left of the wash down by no more than this many dB; 0 only subtracts what is sure.",
    )  # fmt: skip
