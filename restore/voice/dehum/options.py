"""Options of `dehum`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class DehumOptions(AudioStageOptions):
    """Take mains hum and its harmonics away, and nothing else.

    The hum's frequency is found and followed as it drifts with the machine, its harmonics measured where the voice
    rests, and just that tone subtracted: a filter would carve the same frequencies out of the voice. Harmonics that are
    not steadily there are left alone.
    """

    strength: float = Field(1.0, ge=0, le=1, description="Share of the hum that is taken away; 0 leaves it.")
    frequency: Annotated[float, Field(ge=20, le=500)] | None = Field(
        None, description="The hum's frequency in hertz, if it is neither 50 nor 60; strays of 0.8 % are followed."
    )
    harmonics: int = Field(32, ge=1, le=64, description="How many harmonics to look for, the first included.")
