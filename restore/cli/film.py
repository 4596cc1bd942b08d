"""`restore film`: the preset for a black-and-white or faded reel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from restore.cli.job import arguments, io_groups, preview_job, run_job
from restore.cli.options import GroupedCommand
from restore.cli.preset import preset_options, preset_recipe, write_recipe

_HELP = """\
Restore a black-and-white or faded reel: fields, weave, flicker, dirt and scratches, sound, and enlarge it.

Moderate by default; a stage that finds nothing to do changes nothing. Every strength can be reached: all at once
with --strength, one by one with --set, or in a recipe made with --write-recipe. SOURCE is a film, a pattern of
pictures (scan_%06d.dpx) or a folder of them. The job folder OUTPUT.restore remembers what is done: stop and start
again as you like.

\b
Examples:
  restore film reel.mp4 reel_restored.mp4
  restore film reel.mp4 reel_restored.mp4 --preview
  restore film reel.mkv reel_clean.mkv --no-upscale --strength 0.7
  restore film reel.mkv reel_clean.mkv --no-sound
  restore film reel.mkv reel_hd.mkv --height 1080 --skip stabilize --set dedust.sensitivity=0.7
  restore film reel.mp4 reel_restored.mp4 --write-recipe film.toml
  restore run reel.mp4 reel_restored.mp4 --recipe film.toml
"""


def _film(source: str, output: Path, **values: Any) -> int:
    write_to = values.pop("write_recipe")
    recipe = preset_recipe("film", values)
    if write_to is not None:
        write_recipe("film", recipe, write_to, values["overwrite"])
        return 0
    wanted = values.pop("preview")
    return (preview_job if wanted else run_job)(source, output, recipe, values)


_PREVIEW = click.Option(
    ["--preview"], is_flag=True,
    help="Render only a few seconds of the worst shots, side by side with the source: OUTPUT.preview.mp4 and .png. "
    "What the full run can use of it is kept.",
)  # fmt: skip


film = GroupedCommand(
    "film",
    callback=_film,
    params=arguments(),
    groups=[("Film", [*preset_options("film"), _PREVIEW]), *io_groups()],
    help=_HELP,
)
