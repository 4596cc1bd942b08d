"""Options of `deflicker`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.contract import StageOptions

Amount = Annotated[float, Field(ge=0, le=1)]


class DeflickerOptions(StageOptions):
    """Even out brightness that jumps from frame to frame; fades and lights stay.

    Over the whole picture, by tone, and in parts of it; colours do not shift, and a film that does not flicker passes
    as it is. What was found is in OUTPUT.restore/plan, a curve a shot.
    """

    strength: Amount = Field(1.0, description="1 takes all flicker away that was found, 0 leaves it.")
    local: Amount = Field(1.0, description="The same for flicker in parts of the picture, on top of the whole's.")
    span: float = Field(
        18.0, ge=4, le=200,
        description="Frames over which a change of brightness must last to be kept as meant: raise it for slow pulses, "
        "lower it for quick fades.",
    )  # fmt: skip
    least: float = Field(
        0.3, ge=0, le=100,
        description="Flicker under this many percent of brightness is left alone: a clean film passes as it is.",
    )  # fmt: skip
