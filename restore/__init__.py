"""Film restoration and digital doubles: analyse, plan, render, mux.

    import restore
    restore.run("reel.mp4", "reel_2x.mp4", restore.Recipe.of("upscale", scale=2))

Importing this package imports no torch; the functions that need it do so when called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from restore import zoo
    from restore.api import apply, prepare_run, probe, run, shots
    from restore.examine import plot, preview, survey_fields
    from restore.presets import preset
    from restore.recipe import Recipe

__all__ = [
    "Recipe",
    "__version__",
    "apply",
    "plot",
    "prepare_run",
    "preset",
    "preview",
    "probe",
    "run",
    "shots",
    "survey_fields",
    "zoo",
]

_HOMES = {
    "Recipe": "restore.recipe",
    "preset": "restore.presets",
    **dict.fromkeys(("apply", "prepare_run", "probe", "run", "shots"), "restore.api"),
    **dict.fromkeys(("plot", "preview", "survey_fields"), "restore.examine"),
}


def __getattr__(name: str) -> Any:
    if name == "zoo":
        return importlib.import_module("restore.zoo")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'restore' has no attribute {name!r}")
