"""What a person marks in a film: hints, and regions of a palette. Two small JSON files, read and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from restore.errors import OptionError, SourceNotFoundError
from restore.frames import VideoFormat
from restore.pipeline.contract import first_problem
from restore.times import parse_time

_COLOR = re.compile(r"#([0-9a-fA-F]{6})")


def _color(value: str) -> str:
    if not _COLOR.fullmatch(value):
        raise ValueError(f"{value!r} is no colour: write #rrggbb")
    return value


def _time(value: str | float) -> str | float:
    parse_time(value, Fraction(120000, 1001))  # any rate: only the form counts here
    return value


Color = Annotated[str, AfterValidator(_color)]
Time = Annotated[str | int | float, AfterValidator(_time)]
Coordinate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
"""x and y in pixels of the frames that the stage is given."""


def rgb_of(color: str) -> tuple[float, float, float]:
    """R'G'B' in [0, 1] of ``#rrggbb``."""
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Marks(_Strict):
    """Points, or a stroke through them, at a moment."""

    at: Time
    points: tuple[Point, ...] = ()
    stroke: tuple[Point, ...] = ()
    width: float = Field(9.0, gt=0, le=500, allow_inf_nan=False)
    """Of points and strokes, in pixels."""
    note: str = ""

    def drawn(self, size: tuple[int, int], format: VideoFormat) -> npt.NDArray[np.bool_]:
        """(h, w): where they lie, at the plan's size; never nowhere."""
        return drawn(self.points, self.stroke, self.width, size, format)

    def check(self, format: VideoFormat, whose: str) -> None:
        """Raise OptionError for what lies outside the frame."""
        for x, y in (*self.points, *self.stroke):
            if x >= format.width or y >= format.height:
                raise OptionError(f"{whose}: [{x:g}, {y:g}] lies outside frames of {format.width}x{format.height}")


def drawn(
    points: Sequence[Point], stroke: Sequence[Point], width: float, size: tuple[int, int], format: VideoFormat
) -> npt.NDArray[np.bool_]:
    """(h, w): discs round the points, and a line of that width through a stroke."""
    layer = np.zeros(size, np.uint8)
    scale = np.array((size[1] / format.width, size[0] / format.height))
    thick = max(1, round(width * float(scale.mean())))
    for point in points:
        x, y = (np.asarray(point) * scale).astype(int)
        cv2.circle(layer, (int(x), int(y)), thick // 2, 1, -1)
    if stroke:
        line = (np.asarray(stroke) * scale).astype(np.int32)
        cv2.polylines(layer, [line], False, 1, thick)
    return layer.astype(bool)


class Hint(Marks):
    """A colour at some place and time."""

    color: Color

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.points and not self.stroke:
            raise ValueError("a hint has points or a stroke")
        return self


class Hints(_Strict):
    """The whole of a hints file."""

    version: Literal[1] = 1
    hints: tuple[Hint, ...] = Field(min_length=1)


class Place(Marks):
    """Where a region of the palette is seen: in its shot it is followed from there."""

    region: str
    mask: str | None = None
    """A picture, white where the region is; its path counts from the palette's folder."""
    outside: tuple[Point, ...] = ()
    """Points beside the region, where it must not spread."""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.points and not self.stroke and self.mask is None:
            raise ValueError("a place has points, a stroke or a mask")
        return self


class Palette(_Strict):
    """The whole of a palette file."""

    version: Literal[1] = 1
    colors: dict[str, Color] = Field(min_length=1)
    places: tuple[Place, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for place in self.places:
            if place.region not in self.colors:
                raise ValueError(f"there is no colour {place.region!r}; there are: {', '.join(self.colors)}")
        return self


_Model = TypeVar("_Model", bound=BaseModel)


def read_marks(path: Path, model: type[_Model]) -> _Model:
    """Read one of the two files. Raises SourceNotFoundError, OptionError naming the place that is wrong."""
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SourceNotFoundError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise OptionError(f"{path}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: cannot be read ({error})") from None
    except ValidationError as error:
        raise OptionError(f"{path}: {first_problem(error)}") from None
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from None
