"""Options of `stabilize`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.contract import StageOptions

Amount = Annotated[float, Field(ge=0, le=1)]


class StabilizeOptions(StageOptions):
    """Take gate weave away; the camera's own movement stays.

    People who move do not mislead it. What a movement bares at the edges is filled from neighbouring frames, or
    cropped. A film that does not weave passes as it is. What was found is in OUTPUT.restore/plan, a path a shot.
    """

    strength: Amount = Field(1.0, description="1 takes all weave away that was found, 0 leaves it.")
    span: float = Field(
        24.0, ge=4, le=400,
        description="Frames over which a movement must last to be the camera's: raise it for a calmer picture.",
    )  # fmt: skip
    least: float = Field(
        0.02, ge=0, le=10,
        description="Weave under this many percent of the picture's longer side is left alone, so that a steady film "
        "passes as it is.",
    )  # fmt: skip
    limit: float = Field(3.0, gt=0, le=20, description="The farthest a frame is moved, percent of the longer side.")
    turn: bool = Field(False, description="Take jumps of rotation and size away as well.")
    crop: int = Field(
        0, ge=0, le=1024,
        description="Cut so many pixels off at each edge, and move no frame farther, instead of filling what the "
        "movement bares from neighbouring frames.",
    )  # fmt: skip
