"""A command for each stage, made from its options."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click

from restore.cli.job import arguments, io_groups, run_job, with_io
from restore.cli.options import GroupedCommand, given, options_for
from restore.recipe import Recipe
from restore.stages import options_of, parse_options

_SHARED = """\
SOURCE is a film, a pattern of pictures (scan_%06d.dpx), a folder of them, or one picture. Sound, subtitles,
chapters and everything else a film holds is kept. The job folder OUTPUT.restore remembers what is done:
stop and start again as you like.
"""

_EXAMPLES = {
    "deinterlace": """\
  restore deinterlace tape.mkv tape_progressive.mkv
  restore deinterlace tape.mkv tape_50p.mkv --rate field
  restore run tape.mkv tape_2x.mkv deinterlace upscale --scale 2
""",
    "upscale": """\
  restore upscale reel.mp4 reel_2x.mp4
  restore upscale reel.mkv reel_4x.mkv --scale 4 --model realesr-general-x4v3 --denoise-strength 0.5
  restore upscale scan_%06d.dpx master.mkv --fps 24 --audio track.wav --height 2160 --master
  restore upscale grandmother.jpg grandmother_2x.png
  restore upscale reel.mp4 try.mp4 --start 1:20 --end 1:25
""",
}


def _help(name: str) -> str:
    """What the options' docstring says of the stage, what holds for every stage, and examples."""
    about = inspect.getdoc(options_of(name)) or ""
    examples = _EXAMPLES.get(name, f"  restore {name} reel.mp4 out.mp4\n")
    return f"{about}\n\n{_SHARED}\n\b\nExamples:\n{examples}"


def stage_command(name: str) -> click.Command:
    """The Click command of a stage."""
    model = options_of(name)

    def callback(source: str, output: Path, **values: Any) -> int:
        said = given(model, values)
        recipe = with_io(Recipe(((name, parse_options(name, said)),)), values)
        return run_job(source, output, recipe, values)

    return GroupedCommand(
        name,
        callback=callback,
        params=arguments(),
        groups=[(name.capitalize(), options_for(model)), *io_groups()],
        help=_help(name),
    )
