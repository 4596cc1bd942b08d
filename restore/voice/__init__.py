"""The sound stages. Adding one: a folder with options.py, analysis.py, render.py, and a line in `_STAGES`."""

from __future__ import annotations

from typing import Any

from restore.pipeline.audio_contract import AudioStage
from restore.pipeline.catalogue import Catalogue

# In the order in which a chain runs them. Names are unique among picture and sound stages: a recipe holds both.
_STAGES = {
    "declip": ("restore.voice.declip.options:DeclipOptions", "restore.voice.declip.render:Declip"),
    "declick": ("restore.voice.declick.options:DeclickOptions", "restore.voice.declick.render:Declick"),
    "dehum": ("restore.voice.dehum.options:DehumOptions", "restore.voice.dehum.render:Dehum"),
    "denoise": ("restore.voice.denoise.options:DenoiseOptions", "restore.voice.denoise.render:Denoise"),
    "loudness": ("restore.voice.loudness.options:LoudnessOptions", "restore.voice.loudness.render:Loudness"),
}

SOUND: Catalogue[AudioStage[Any]] = Catalogue(_STAGES)
