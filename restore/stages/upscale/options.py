"""Options of `upscale`. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from restore.pipeline.contract import StageOptions

Amount = Annotated[float, Field(ge=0, le=1)]


class UpscaleOptions(StageOptions):
    """Enlarge with a super-resolution network, at its own scale, then resample to the size asked for."""

    scale: float | None = Field(
        None, gt=0, le=16, description="Factor to enlarge by; any number, 2 if nothing else is said."
    )
    height: int | None = Field(None, ge=1, le=32768, description="Height of the result in pixels, instead of a factor.")
    width: int | None = Field(
        None, ge=1, le=32768, description="Width of the result in pixels; with --height too, both are forced."
    )
    model: str | None = Field(
        None,
        description="Network, by name (restore models list) or weights file. The default is our own: reel-x2 up to "
        "twice the size, reel-x4 above.",
    )
    denoise_strength: Amount | None = Field(
        None, description="For realesr-general-x4v3: 1 removes noise strongly, 0 keeps it."
    )
    strength: Amount = Field(1.0, description="1 is the network's picture, 0 a plain bicubic one, between is between.")
    blur: Amount | None = Field(
        None, description="How blurred the source is, 0 to 1, instead of measuring it shot by shot (our networks only)."
    )
    noise: Amount | None = Field(None, description="How noisy the source is, likewise.")
    compression: Amount | None = Field(None, description="How compressed the source is, likewise.")
    tile: int | None = Field(
        None,
        ge=64,
        description="Largest tile in pixels a side; chosen by free memory if not given. Pixels do not depend on it.",
        json_schema_extra={"runtime": True},
    )

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.scale is not None and (self.height is not None or self.width is not None):
            raise ValueError("give either scale or height/width, not both")
        return self


DEGRADATIONS: tuple[Literal["blur"], Literal["noise"], Literal["compression"]] = ("blur", "noise", "compression")
"""The degradation vector our networks are told, in order."""
