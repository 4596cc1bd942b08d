"""Options of `dewow`. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class DewowOptions(AudioStageOptions):
    """Steady a pitch that wavers because the machine did: wow and flutter.

    Whatever was recorded with a steady pitch tells how fast the machine ran: notes of music, a whistle, mains hum. What
    all of them do together is the machine; the sound is read at the speed that undoes it. A voice alone does not tell:
    where nothing holds its pitch, nothing is changed. Length and synchrony with the picture stay: what drifts more
    slowly than some ten seconds is left as it is.
    """

    strength: float = Field(1.0, ge=0, le=1, description="Share of the wavering that is undone; 0 leaves it.")
    most: float = Field(
        3.0, gt=0, le=6, description="Percent by which the speed can be off at most: more is taken for music."
    )
    fastest: float = Field(
        10.0, ge=1, le=15, description="Hertz: wavering faster than this is left. Wow is below 4, flutter above."
    )
