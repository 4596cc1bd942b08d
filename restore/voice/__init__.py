"""The sound stages. Adding one: a folder with options.py, analysis.py, render.py, and a line in `_STAGES`."""

from __future__ import annotations

from typing import Any

from restore.pipeline.audio_contract import AudioStage
from restore.pipeline.catalogue import Catalogue

# In the order in which a chain runs them. Names are unique among picture and sound stages: a recipe holds both.
# (`denoise` is a stage of pictures; that of sound is `dehiss`.)
_STAGES = {
    "declip": ("restore.voice.declip.options:DeclipOptions", "restore.voice.declip.render:Declip"),
    "declick": ("restore.voice.declick.options:DeclickOptions", "restore.voice.declick.render:Declick"),
    "dehum": ("restore.voice.dehum.options:DehumOptions", "restore.voice.dehum.render:Dehum"),
    "dewow": ("restore.voice.dewow.options:DewowOptions", "restore.voice.dewow.render:Dewow"),
    "dehiss": ("restore.voice.dehiss.options:DehissOptions", "restore.voice.dehiss.render:Dehiss"),
    "dereverb": ("restore.voice.dereverb.options:DereverbOptions", "restore.voice.dereverb.render:Dereverb"),
    "repair-voice": (
        "restore.voice.repair_voice.options:RepairVoiceOptions",
        "restore.voice.repair_voice.render:RepairVoice",
    ),
    "bandwidth": ("restore.voice.bandwidth.options:BandwidthOptions", "restore.voice.bandwidth.render:Bandwidth"),
    "loudness": ("restore.voice.loudness.options:LoudnessOptions", "restore.voice.loudness.render:Loudness"),
}

OFF = frozenset({"dewow", "dereverb", "repair-voice", "bandwidth", "loudness"})
"""Stages that `restore voice` runs only if asked to: not every recording has what they mend."""

SOUND: Catalogue[AudioStage[Any]] = Catalogue(_STAGES)
