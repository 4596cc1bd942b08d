"""Options of `regrain`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.contract import StageOptions


class RegrainOptions(StageOptions):
    """Put grain back, so that a restored film still looks like film.

    The grain is the source's own, measured shot by shot before anything was done to it: its spectrum, and its strength
    at every brightness. After an upscale it looks as coarse as it did. `amount` and `size` make grain by hand.
    """

    strength: Annotated[float, Field(ge=0, le=4)] = Field(
        0.7, description="1 is as much as the source had, 0 none, 2 twice as much."
    )
    amount: Annotated[float, Field(ge=0, le=50)] | None = Field(
        None, description="Standard deviation in percent of the range, at mid-grey, instead of what was measured."
    )
    size: Annotated[float, Field(ge=0, le=20)] | None = Field(
        None, description="Of the clumps, pixels of the output (sigma of a Gaussian), instead of the measured spectrum."
    )
    color: Annotated[float, Field(ge=0, le=4)] = Field(
        1.0, description="The same as `strength`, for grain of colour, on top of it."
    )
    seed: int = Field(0, ge=0, le=2**31, description="Another number gives other grain of the same kind.")
