"""Options of `declip`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class DeclipOptions(AudioStageOptions):
    """Rebuild peaks that a recording driven too hard has cut off.

    Where a track was clipped, and at which level, is found first; a track that never was passes as it is. Rebuilt peaks
    rise above the ceiling they were cut at: turn the track down (`loudness`) where a file of whole numbers would cut
    them again.
    """

    strength: float = Field(
        1.0, ge=0, le=1, description="1 rebuilds peaks to their likely height, 0.5 to half of it, 0 leaves them cut."
    )
    ceiling: Annotated[float, Field(ge=-60, le=20)] | None = Field(
        None, description="Level in dBFS at which the track was cut, instead of finding it."
    )
