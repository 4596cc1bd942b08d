"""Options of `refade`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.contract import StageOptions

Amount = Annotated[float, Field(ge=0, le=1)]


class RefadeOptions(StageOptions):
    """Give faded film and photographs their contrast and the balance of their dyes back.

    One correction a reel, so nothing pumps. What has sound blacks is not faded and passes as it is, bit for bit. The
    curves are in OUTPUT.restore/plan.
    """

    strength: Amount = Field(1.0, description="1 puts back all that is judged lost, 0 leaves the picture as it is.")
    sensitivity: Amount = Field(
        0.5, description="How readily a shot is taken for faded: 0 only what is plain, 1 every one."
    )
    keep_tint: bool = Field(
        False, description="Put contrast back, but leave colours their cast: for tinted, toned and sepia pictures."
    )
