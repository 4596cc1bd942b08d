"""Hand-made masks: polygons a person draws for some frames, to be repaired or to be left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from restore.errors import OptionError

Point = tuple[float, float]
_SHAPES: TypeAdapter[list[list[Point]]] = TypeAdapter(list[list[Point]])


def checked_shapes(stage: str, name: str, value: Any) -> list[list[Point]]:
    """Polygons as lists of [x, y], in pixels of what the stage is given. Raises OptionError."""
    try:
        shapes = _SHAPES.validate_python(value)
    except ValidationError:
        raise OptionError(f"{stage}: {name}: write a list of polygons, each a list of [x, y]") from None
    for shape in shapes:
        if len(shape) < 3 or not np.isfinite(shape).all():
            raise OptionError(f"{stage}: {name}: a polygon has at least three points")
    return shapes


def drawn(edits: Sequence[Mapping[str, Any]], pts: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """(H, W): what the edits that hold at this time cover. Each is ``{"from": pts, "to": pts, "value": polygons}``."""
    layer = np.zeros(shape, np.uint8)
    for edit in edits:
        if edit["from"] <= pts < edit["to"]:
            for polygon in edit["value"]:
                cv2.fillPoly(layer, [np.round(np.asarray(polygon)).astype(np.int32)], 1)
    return layer.astype(bool)
