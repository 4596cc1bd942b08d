"""Options of `dedust`. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from restore.pipeline.contract import StageOptions

Amount = Annotated[float, Field(ge=0, le=1)]


class DedustOptions(StageOptions):
    """Find dirt and scratches and fill them from the frames beside, or from the picture around."""

    sensitivity: Amount = Field(
        0.5, description="How readily something is taken for dirt: 0 only what is plain, 1 also what is doubtful."
    )
    strength: Amount = Field(1.0, description="1 replaces dirt wholly, 0 leaves the picture as it is.")
    dust: bool = Field(True, description="Repair what lies on single frames: dust, hairs, blotches, splices.")
    scratches: bool = Field(True, description="Repair vertical scratches that stay for many frames.")
    show: Literal["repaired", "mask"] = Field(
        "repaired", description="What to write: the repaired picture, or white where it would be repaired."
    )
