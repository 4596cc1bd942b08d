"""Options of `reage`. Imports no torch."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from restore.errors import OptionError
from restore.faces.wanted import Wanted
from restore.pipeline.contract import StageOptions
from restore.stages.reage.ages import Keyed

Amount = Annotated[float, Field(ge=0, le=2)]
KeyedText = Annotated[str, BeforeValidator(lambda value: f"{value:g}" if isinstance(value, int | float) else value)]
"""Of a number, or keyframes, as text."""

OLDEST = 120.0
ZONES = (
    "forehead", "glabella", "crows-feet", "under-eye", "nasolabial", "cheeks", "mouth", "chin", "neck", "nose", "lids",
)  # fmt: skip
"""Parts of a face that have a strength of their own."""

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class ReageOptions(StageOptions):
    """Make one person's face younger or older; everyone else, and the rest of the picture, stays as it is.

    Wrinkles, spots, skin tone, hair and the face's outline follow what age does to faces, measured on portraits.
    Pores and grain stay. The strength fades where a face is seen badly: in profile, small, blurred or covered.
    Needs a consent record, or a reason why none is needed.
    """

    actor: str | None = Field(
        None,
        description="Whose face: a number or name of `restore faces` (2, or 2,5 if they are one), or a photograph. Not "
        "needed where there is but one person.",
    )
    at: str | None = Field(
        None, description="Instead: the face that is there then, TIME@X,Y in pixels of the source: 00:00:05@640,220."
    )
    from_age: float | None = Field(
        None, ge=1, le=OLDEST, description="Their age in the film, in years; estimated, once a person, if not given."
    )
    to: KeyedText = Field(
        "30", description="The age wanted: 30, or keyframes 0:00=30,0:02=60 (times from the first frame); 0 to 120."
    )
    strength: KeyedText = Field(
        "1", description="1 changes as much as age does, 0 nothing; keyframes as for --to; 0 to 2."
    )
    model: str = Field(
        "auto", description="sift: no network, keeps pores; fran: a network; or a FRAN checkpoint's path."
    )
    detector: str = Field(
        "auto", description="What finds faces: auto, haar, yunet, retinaface, or a file of either (.onnx, .pth)."
    )
    wrinkles: Amount = Field(1.0, description="How much of the change in lines and folds is made.")
    skin: Amount = Field(1.0, description="The same for blotches, spots, shine and the skin's tone.")
    shape: Amount = Field(1.0, description="The same for lids, cheeks, jaw, nose and ears.")
    hair: Amount = Field(1.0, description="The same for greying hair and brows, and for their colour, if chosen.")
    hair_color: str | None = Field(None, description="Colour the hair takes on, #rrggbb, instead of what age gives.")
    brow_color: str | None = Field(None, description="Colour the brows take on, likewise.")
    zone: tuple[str, ...] = Field(
        (),
        description="Strength of one part of the face, ZONE=NUMBER or with keyframes, forehead=0.5 or "
        f"neck=0:00=0,0:02=1; parts: {', '.join(ZONES)}.",
    )
    show: Literal["reaged", "delta", "matte", "mask"] = Field(
        "reaged",
        description="What to write: the re-aged picture; what was added to it; how far change is let through; or where "
        "there is any.",
    )
    show_as: Literal["float", "film"] = Field(
        "float",
        description="delta, matte and mask as 32-bit float, or as a film can hold them: 10 bits, delta halved about "
        "middle grey.",
    )
    consent: str | None = Field(None, description="Consent record of the person whose face it is: see docs/consent.md.")
    own_work: str | None = Field(None, description="Instead: why none is needed, the face being your own for example.")
    test_material: str | None = Field(
        None, description="Instead: why nobody is affected, made-up material for example."
    )

    @model_validator(mode="after")
    def _somebody(self) -> ReageOptions:
        Wanted.parse(self.actor, self.at)
        return self

    @field_validator("to")
    @classmethod
    def _an_age(cls, value: str) -> str:
        Keyed.parse(value, 0, OLDEST, "an age")
        return value

    @field_validator("strength")
    @classmethod
    def _a_strength(cls, value: str) -> str:
        Keyed.parse(value, 0, 2, "a strength")
        return value

    @field_validator("hair_color", "brow_color")
    @classmethod
    def _a_color(cls, value: str | None) -> str | None:
        if value is not None and not _COLOR.fullmatch(value):
            raise OptionError(f"{value!r} is not a colour: write #rrggbb, for example #4a3526")
        return value

    @field_validator("zone")
    @classmethod
    def _zones(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_zones(value)
        return value


def parse_zones(texts: tuple[str, ...] | list[str]) -> dict[str, Keyed]:
    """Strengths by zone. Raises OptionError."""
    found = {}
    for text in texts:
        name, sign, amount = text.partition("=")
        if name not in ZONES or not sign:
            raise OptionError(f"{text!r}: write ZONE=NUMBER; zones are {', '.join(ZONES)}")
        found[name] = Keyed.parse(amount, 0, 2, "a zone's strength")
    return found
