"""The picture stages. Adding one: a folder with options.py, analysis.py, render.py, and a line in `_STAGES`."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from restore.errors import OptionError
from restore.pipeline.contract import Stage, StageOptions, first_problem

_STAGES = {
    "deflicker": ("restore.stages.deflicker.options:DeflickerOptions", "restore.stages.deflicker.render:Deflicker"),
    "deinterlace": (
        "restore.stages.deinterlace.options:DeinterlaceOptions",
        "restore.stages.deinterlace.render:Deinterlace",
    ),
    "stabilize": ("restore.stages.stabilize.options:StabilizeOptions", "restore.stages.stabilize.render:Stabilize"),
    "dedust": ("restore.stages.dedust.options:DedustOptions", "restore.stages.dedust.render:Dedust"),
    "denoise": ("restore.stages.denoise.options:DenoiseOptions", "restore.stages.denoise.render:Denoise"),
    "colorize": ("restore.stages.colorize.options:ColorizeOptions", "restore.stages.colorize.render:Colorize"),
    "regrain": ("restore.stages.regrain.options:RegrainOptions", "restore.stages.regrain.render:Regrain"),
    "upscale": ("restore.stages.upscale.options:UpscaleOptions", "restore.stages.upscale.render:Upscale"),
}


def stage_names() -> tuple[str, ...]:
    """All stages a recipe may name."""
    return tuple(_STAGES)


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def _entry(name: str) -> tuple[str, str]:
    try:
        return _STAGES[name]
    except KeyError:
        close = get_close_matches(name, _STAGES, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(_STAGES)}"
        raise OptionError(f"no stage is called {name!r}{hint}") from None


def options_of(name: str) -> type[StageOptions]:
    """The options of a stage, without importing torch. Raises OptionError for an unknown name."""
    found: type[StageOptions] = _load(_entry(name)[0])
    return found


def build_stage(name: str, options: StageOptions | dict[str, Any] | None = None) -> Stage[Any]:
    """A stage, not yet opened. Raises OptionError saying which option is wrong and how."""
    if not isinstance(options, StageOptions):
        options = parse_options(name, options or {})
    stage: Stage[Any] = _load(_entry(name)[1])(options)
    return stage


def parse_options(name: str, values: dict[str, Any]) -> StageOptions:
    """Validate the options of a stage. Raises OptionError saying which is wrong and how."""
    try:
        return options_of(name).model_validate(values)
    except ValidationError as error:
        raise OptionError(f"{name}: {first_problem(error)}") from None
