"""Options of `colorize`. Imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from restore.pipeline.contract import StageOptions

Amount = Annotated[float, Field(ge=0, le=1)]


class ColorizeOptions(StageOptions):
    """Give a black-and-white film colours: yours, where you name them, and proposed ones elsewhere.

    You decide by coloured stills (--reference), by points and strokes (--hints), by regions that keep one colour
    through the film (--palette). Each is followed along its shot. Luma is never touched. What was decided is in
    OUTPUT.restore/plan, the colours of every frame too.
    """

    reference: tuple[str, ...] = Field(
        (), description="A coloured still, as PATH@TIME where it is a frame of the film, else PATH alone: then its "
        "colours are matched by likeness. Repeatable.",
    )  # fmt: skip
    references: str | None = Field(
        None, description="A folder of coloured frames under the names that --export-keyframes gave them."
    )
    hints: str | None = Field(None, description="A JSON file of points and strokes, each with a colour and a time.")
    palette: str | None = Field(None, description="A JSON file of regions that keep one colour through the film.")
    model: str | None = Field(
        None, description="Network that proposes colours, by name (restore models list) or weights file; our own if "
        "not given. none: nothing is proposed, and what you did not colour stays grey.",
    )  # fmt: skip
    saturation: float = Field(1.0, ge=0, le=3, description="Factor on how strong colours are.")
    strength: Amount = Field(1.0, description="1 is the coloured film, 0 the film as it was, between is between.")
    keep_tint: bool = Field(False, description="Leave the tint of a sepia or toned film under the colours.")
    recolor: bool = Field(False, description="Go on with a film that is in colour already; its colours are dropped.")
