"""Options of `denoise`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.contract import StageOptions

Amount = Annotated[float, Field(ge=0, le=1)]


class DenoiseOptions(StageOptions):
    """Take grain and noise away, by as much as is measured shot by shot; detail stays.

    Each frame is averaged with those beside it, along motion; where that cannot help, the frame alone is cleaned.
    What was measured is in OUTPUT.restore/plan: how much noise at which brightness, and its spectrum.
    """

    strength: Amount = Field(
        0.9, description="1 takes away all noise that can be told from the picture, 0.5 half of it, 0 none."
    )
    spatial: Amount = Field(
        1.0,
        description="How far each frame alone is cleaned of what its neighbours left; 0 averages along motion only.",
    )
    color: Amount = Field(1.0, description="How far noise of colour goes, of `strength`.")
    radius: int = Field(3, ge=0, le=6, description="Frames on either side that are averaged with; more is slower.")
    level: float = Field(
        1.0, ge=0.25, le=4, description="Takes noise for this many times as strong as was measured: more cleans harder."
    )
