"""The picture stages. Adding one: a folder with options.py, analysis.py, render.py, and a line in `_STAGES`."""

from __future__ import annotations

from typing import Any

from restore.pipeline.catalogue import Catalogue
from restore.pipeline.contract import Stage

_STAGES = {
    "deflicker": ("restore.stages.deflicker.options:DeflickerOptions", "restore.stages.deflicker.render:Deflicker"),
    "deinterlace": (
        "restore.stages.deinterlace.options:DeinterlaceOptions",
        "restore.stages.deinterlace.render:Deinterlace",
    ),
    "stabilize": ("restore.stages.stabilize.options:StabilizeOptions", "restore.stages.stabilize.render:Stabilize"),
    "dedust": ("restore.stages.dedust.options:DedustOptions", "restore.stages.dedust.render:Dedust"),
    "refade": ("restore.stages.refade.options:RefadeOptions", "restore.stages.refade.render:Refade"),
    "retouch": ("restore.stages.retouch.options:RetouchOptions", "restore.stages.retouch.render:Retouch"),
    "denoise": ("restore.stages.denoise.options:DenoiseOptions", "restore.stages.denoise.render:Denoise"),
    "colorize": ("restore.stages.colorize.options:ColorizeOptions", "restore.stages.colorize.render:Colorize"),
    "regrain": ("restore.stages.regrain.options:RegrainOptions", "restore.stages.regrain.render:Regrain"),
    "reage": ("restore.stages.reage.options:ReageOptions", "restore.stages.reage.render:Reage"),
    "upscale": ("restore.stages.upscale.options:UpscaleOptions", "restore.stages.upscale.render:Upscale"),
}


PICTURES: Catalogue[Stage[Any]] = Catalogue(_STAGES)

stage_names = PICTURES.names
options_of = PICTURES.options_of
parse_options = PICTURES.parse
build_stage = PICTURES.build
