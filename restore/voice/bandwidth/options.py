"""Options of `bandwidth`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class BandwidthOptions(AudioStageOptions):
    """Carry a voice on above the band that an optical track or a telephone left of it.

    What is added is invented: the band below the edge, moved up, as loud as the sound at the edge lets expect, and
    quieter the higher it goes. Where there is nothing at the edge but noise, nothing is added; what the track holds
    above the edge stays. A track that reaches 7 kHz by itself is left alone.
    """

    strength: float = Field(
        1.0, ge=0, le=1, description="How loud the addition is; 0.5 is 6 dB quieter, 0 adds nothing."
    )
    edge: Annotated[float, Field(ge=1500, le=12000)] | None = Field(
        None, description="Hertz up to which the track holds sound, instead of finding it."
    )
    top: Annotated[float, Field(ge=2000, le=20000)] | None = Field(
        None, description="Hertz up to which it is carried on. [default: twice the edge, at most 12000]"
    )
