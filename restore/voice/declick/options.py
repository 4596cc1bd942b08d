"""Options of `declick`. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class DeclickOptions(AudioStageOptions):
    """Remove clicks and crackle: dirt and scratches on an optical track, dust in a groove.

    Only the samples a click destroyed are made anew, from those on either side; all others come out as they went in.
    """

    strength: float = Field(1.0, ge=0, le=1, description="1 takes clicks away, 0.5 halves them, 0 leaves them.")
    sensitivity: float = Field(
        0.0, ge=-12, le=12,
        description="Find clicks this many dB smaller (above 0: more are found) or only larger ones (below 0).",
    )  # fmt: skip
    longest: float = Field(
        2.5, ge=0.1, le=5,
        description="Milliseconds: what lasts longer is not a click, but a t or a knock.",
    )  # fmt: skip
