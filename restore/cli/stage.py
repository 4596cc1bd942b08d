"""A command for each stage, made from its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from restore.cli.job import arguments, io_groups, run_job, with_io
from restore.cli.options import GroupedCommand, given, options_for
from restore.recipe import Recipe
from restore.stages import options_of, parse_options

_HELP = {
    "deinterlace": """Make whole frames of SOURCE's fields, and write them into OUTPUT.

    Progressive, interlaced and telecined (2:3) shots are told apart. Telecined film gets its own frames back, exactly;
    interlaced video gets the missing lines of each field made; progressive shots are left as they are. What was found
    is said at the end and kept in the job folder.

    \b
    Examples:
      restore deinterlace tape.mkv tape_progressive.mkv
      restore deinterlace tape.mkv tape_50p.mkv --rate field
      restore run tape.mkv tape_2x.mkv deinterlace upscale --scale 2
    """,
    "upscale": """Enlarge SOURCE into OUTPUT with a super-resolution network.

    SOURCE is a film, a pattern of pictures (scan_%06d.dpx), a folder of them, or one picture. Sound, subtitles,
    chapters and everything else a film holds is kept. The job folder OUTPUT.restore remembers what is done:
    stop and start again as you like.

    \b
    Examples:
      restore upscale reel.mp4 reel_2x.mp4
      restore upscale reel.mkv reel_4x.mkv --scale 4 --model realesr-general-x4v3 --denoise-strength 0.5
      restore upscale scan_%06d.dpx master.mkv --fps 24 --audio track.wav --height 2160 --master
      restore upscale grandmother.jpg grandmother_2x.png
      restore upscale reel.mp4 try.mp4 --start 1:20 --end 1:25
    """,
}


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
        help=_HELP[name],
    )
