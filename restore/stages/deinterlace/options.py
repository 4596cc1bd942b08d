"""Options of `deinterlace`. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from restore.pipeline.contract import StageOptions


class DeinterlaceOptions(StageOptions):
    """Tell progressive, interlaced and telecined stretches apart, and make whole frames of their fields."""

    mode: Literal["auto", "deinterlace", "telecine", "weave"] = Field(
        "auto",
        description="auto tells shot by shot; deinterlace, telecine and weave (leave frames as they are) force it.",
    )
    field_order: Literal["auto", "tff", "bff"] = Field(
        "auto", description="Which field comes first in time: the top one or the bottom one; measured if auto."
    )
    rate: Literal["frame", "field"] = Field(
        "frame", description="One frame for each interlaced frame, or one for each of its two fields."
    )
