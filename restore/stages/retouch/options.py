"""Options of `retouch`. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from restore.pipeline.contract import StageOptions

Amount = Annotated[float, Field(ge=0, le=1)]


class RetouchOptions(StageOptions):
    """Find scratches, creases and specks in photographs and fill them from the picture around.

    Each picture is looked at by itself: for film, where neighbouring frames tell dirt from picture, use dedust.
    """

    sensitivity: Amount = Field(
        0.5, description="How readily something is taken for damage: 0 only what is plain, 1 also what is doubtful."
    )
    strength: Amount = Field(1.0, description="1 replaces damage wholly, 0 leaves the picture as it is.")
    lines: bool = Field(True, description="Repair scratches, creases and hairs.")
    specks: bool = Field(True, description="Repair specks and small blotches.")
    mask_in: Path | None = Field(
        None, description="A picture of the same size: what is white in it is repaired, whatever else is found."
    )
    show: Literal["repaired", "mask"] = Field(
        "repaired", description="What to write: the repaired picture, or white where it would be repaired."
    )
