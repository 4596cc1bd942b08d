"""The sound stages. Adding one: a folder with options.py, analysis.py, render.py, and a line in `_STAGES`."""

from __future__ import annotations

from typing import Any

from restore.pipeline.audio_contract import AudioStage
from restore.pipeline.catalogue import Catalogue

# In the order in which a chain runs them. Names are unique among picture and sound stages: a recipe holds both.
# (`denoise` is a stage of pictures; that of sound is `dehiss`.)
_STAGES = {
    "dehiss": ("restore.voice.denoise.options:DenoiseOptions", "restore.voice.denoise.render:Denoise"),
    "loudness": ("restore.voice.loudness.options:LoudnessOptions", "restore.voice.loudness.render:Loudness"),
}

OFF = frozenset({"wow", "dereverb", "bandwidth", "loudness"})
"""Stages that `restore voice` runs only if asked to: not every recording has what they mend."""

SOUND: Catalogue[AudioStage[Any]] = Catalogue(_STAGES)
