"""A command for each stage, made from its options."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import click

from restore.cli.job import arguments, io_groups, run_job, with_io
from restore.cli.options import GroupedCommand, given, options_for
from restore.pipeline.contract import StageOptions
from restore.recipe import Recipe
from restore.stages import options_of, parse_options

_SHARED = """\
SOURCE is a film, a pattern of pictures (scan_%06d.dpx), a folder of them, or one picture. Sound, subtitles,
chapters and everything else a film holds is kept. The job folder OUTPUT.restore remembers what is done:
stop and start again as you like.
"""

_EXAMPLES = {
    "colorize": """\
  restore colorize film.mkv film_colour.mkv
  restore colorize film.mkv film_colour.mkv --reference girl.png@00:01:12.5 --reference street.jpg@0:02:40
  restore colorize film.mkv --export-keyframes keys      # paint what is in keys, then:
  restore colorize film.mkv film_colour.mkv --references keys --palette uniforms.json
  restore colorize grandmother.jpg grandmother_colour.png --hints hints.json --saturation 0.8
""",
    "deflicker": """\
  restore deflicker reel.mp4 steady.mkv
  restore deflicker reel.mp4 steady.mkv --span 36 --strength 0.8
  restore deflicker scan_%06d.dpx steady_%06d.dpx --local 0
""",
    "dedust": """\
  restore dedust reel.mkv reel_clean.mkv
  restore dedust reel.mkv reel_clean.mkv --mask-out repairs.mkv
  restore dedust scan_%06d.dpx clean_%06d.dpx --sensitivity 0.7 --no-scratches
""",
    "denoise": """\
  restore denoise reel.mp4 clean.mkv
  restore denoise reel.mp4 clean.mkv --strength 0.6
  restore run reel.mp4 out.mp4 dedust denoise upscale regrain
""",
    "deinterlace": """\
  restore deinterlace tape.mkv tape_progressive.mkv
  restore deinterlace tape.mkv tape_50p.mkv --rate field
  restore run tape.mkv tape_2x.mkv deinterlace upscale --scale 2
""",
    "reage": """\
  restore reage clip.mp4 younger.mp4 --from 58 --to 30 --consent ann.toml
  restore reage clip.mp4 older.mp4 --actor 2 --from 35 --to 70 --strength 0.8 --consent ann.toml
  restore reage clip.mp4 older.mp4 --at 00:00:05@640,220 --to 70 --own-work "it is my own face"
  restore reage clip.mp4 ages.mov --from 40 --to 0:00=30,0:04=70 --zone neck=0 --consent ann.toml
  restore reage clip.mp4 younger.mp4 --version 7 --passes passes
""",
    "refade": """\
  restore refade reel.mp4 reel_colours.mkv
  restore refade sepia.jpg contrast.png --keep-tint
  restore refade reel.mkv reel_colours.mkv --strength 0.7 --sensitivity 0.6
""",
    "retouch": """\
  restore retouch scan.tif mended.tif --mask-out mask.png
  restore retouch scan.tif mended.tif --sensitivity 0.7 --no-specks
  restore retouch scan.tif mended.tif --mask-in mask.png --no-lines --no-specks
""",
    "regrain": """\
  restore run reel.mp4 out.mp4 denoise upscale regrain
  restore regrain clean.mp4 film.mkv --amount 3 --size 0.8
  restore run reel.mp4 out.mp4 denoise regrain --strength 0.5
""",
    "stabilize": """\
  restore stabilize reel.mp4 still.mkv
  restore stabilize reel.mp4 still.mkv --crop 8
  restore stabilize scan_%06d.dpx still_%06d.dpx --turn --span 48
""",
    "upscale": """\
  restore upscale reel.mp4 reel_2x.mp4
  restore upscale reel.mkv reel_4x.mkv --scale 4 --model realesr-general-x4v3 --denoise-strength 0.5
  restore upscale scan_%06d.dpx master.mkv --fps 24 --audio track.wav --height 2160 --master
  restore upscale grandmother.jpg grandmother_2x.png
  restore upscale reel.mp4 try.mp4 --start 1:20 --end 1:25
""",
}


def command_help(name: str) -> str:
    """What the options' docstring says of the stage, what holds for every stage, and examples."""
    about = inspect.getdoc(options_of(name)) or ""
    examples = _EXAMPLES.get(name, f"  restore {name} reel.mp4 out.mp4\n")
    return f"{about}\n\n{_SHARED}\n\b\nExamples:\n{examples}"


def _mask_option(model: type[StageOptions]) -> list[click.Option]:
    """``--mask-out``, where a stage can show what it repairs: a second job, which renders the mask."""
    if "show" not in model.model_fields:
        return []
    said = "Also write the repair mask, white on black, as a film or pictures of its own; takes as long again."
    return [click.Option(["--mask-out"], type=click.Path(path_type=Path), metavar="PATH", help=said)]


def _keyframes_option(model: type[StageOptions]) -> list[click.Option]:
    """``--export-keyframes``, where a stage takes painted frames back."""
    if "references" not in model.model_fields:
        return []
    said = "Write the frames worth painting into this folder, and nothing else; then hand it back with --references."
    return [click.Option(["--export-keyframes"], type=click.Path(path_type=Path), metavar="FOLDER", help=said)]


def _export_keyframes(source: str, folder: Path, recipe: Recipe, values: dict[str, Any]) -> int:
    from restore import api
    from restore.cli.job import Voice

    voice = Voice(values["as_json"], values["quiet"])
    with voice.progress() as report:
        written = api.export_keyframes(source, folder, recipe.input, report)
    voice.exported(written, folder)
    return 0


def hand_on_edits(job: Path, other: Path) -> None:
    """Let another job heed the edits of this one."""
    edits = job / "edits.json"
    if edits.exists():
        other.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(edits, other / "edits.json")


def stage_command(name: str) -> click.Command:
    """The Click command of a stage."""
    model = options_of(name)

    def callback(
        source: str, output: Path | None, mask_out: Path | None = None, export_keyframes: Path | None = None,
        **values: Any,
    ) -> int:  # fmt: skip
        said = given(model, values)
        recipe = with_io(Recipe(((name, parse_options(name, said)),)), values)
        if export_keyframes is not None:
            return _export_keyframes(source, export_keyframes, recipe, values)
        if output is None:
            raise click.UsageError("Missing argument 'OUTPUT'.")
        status = run_job(source, output, recipe, values)
        if mask_out is None:
            return status
        shown = Recipe(((name, parse_options(name, {**said, "show": "mask"})),), recipe.input, recipe.output)
        if not values["dry_run"]:
            from restore.pipeline.job import default_folder

            hand_on_edits(values["work_dir"] or default_folder(output), default_folder(mask_out))
        return max(status, run_job(source, mask_out, shown, {**values, "work_dir": None}))

    own = [*options_for(model), *_mask_option(model), *_keyframes_option(model)]
    return GroupedCommand(
        name,
        callback=callback,
        params=arguments(optional_output="references" in model.model_fields),
        groups=[(name.capitalize(), own), *io_groups()],
        help=command_help(name),
    )
