"""`restore voice`: the whole repair chain on the sound of a film, or on a sound file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from restore.cli.job import arguments, io_groups, run_job, with_io
from restore.cli.options import GroupedCommand, option_for
from restore.errors import OptionError
from restore.recipe import Recipe
from restore.voice import OFF, SOUND

_SPOKEN = {"dehiss": "denoise"}
"""What a stage is called on this line, where no picture stage of that name is near."""
_SHORT = {
    ("dehiss", "atten_limit"): "--atten-limit",
    ("repair-voice", "reference"): "--reference",
    ("repair-voice", "consent"): "--consent",
    ("repair-voice", "own_work"): "--own-work",
    ("repair-voice", "test_material"): "--test-material",
}
"""Options with a flag of their own, besides the one that names their stage."""

_HELP = """\
Repair the sound of a film or a sound file: clipping, clicks, hum, noise, step by step; wow and flutter, rooms, worn
voices and narrow bands if you ask for it.

Pictures, subtitles, chapters and all else of a film are copied as they are; every sound track is repaired, unless
--tracks says which, and stored as before: same codec, no lower bit rate, same length, to the sample. Every step has a
switch and a strength; a step that finds nothing to do changes nothing. The job folder OUTPUT.restore remembers what
was found and is done: stop and start again as you like.

\b
Examples:
{examples}"""
_EXAMPLES = """\
  restore voice reel.mkv reel_clear.mkv
  restore voice interview.wav interview_clear.wav --atten-limit 6
  restore voice reel.mp4 reel_clear.mp4 --tracks 1 --no-declick --denoise-strength 0.6
  restore voice reel.mkv master.mkv --master --loudness
  restore voice reel.mkv reel_steady.mkv --dewow --dereverb-strength 0.6
  restore voice reel.mkv try.wav --start 1:20 --end 1:30
"""


def spoken(stage: str) -> str:
    """What a stage is called on the command line of `restore voice`."""
    return _SPOKEN.get(stage, stage)


def _field(stage: str, option: str) -> str:
    """The name that Click keeps an option of a stage under."""
    return f"{stage.replace('-', '_')}__{option}"


def stage_option(stage: str, name: str, field: FieldInfo) -> click.Option:
    """The Click option of one field of a stage, named after the stage."""
    option = option_for(name, field)
    flag = "--" + spoken(stage) + "-"
    option.opts = [flag + opt.removeprefix("--") for opt in option.opts]
    option.secondary_opts = [f"--no-{spoken(stage)}-" + opt.removeprefix("--no-") for opt in option.secondary_opts]
    if (stage, name) in _SHORT:
        option.opts.append(_SHORT[stage, name])
    option.name = _field(stage, name)
    return option


def stage_options(stage: str) -> list[click.Option]:
    """The switch of a stage, and all its options under its name."""
    model: type[BaseModel] = SOUND.options_of(stage)
    flag = spoken(stage)
    about = (model.__doc__ or "").strip().splitlines()[0]
    default = "off" if stage in OFF else "on"
    switch = click.Option(
        [f"--{flag}/--no-{flag}", _field(stage, "on")], is_flag=True, default=None, help=f"{about} [default: {default}]"
    )
    return [switch, *(stage_option(stage, name, field) for name, field in model.model_fields.items())]


def voice_recipe(values: dict[str, Any]) -> Recipe:
    """The stages that the command line asks for; takes its options out of Click's `values`. Raises OptionError.

    A stage that is off runs if it is switched on, or if any of its options is given.
    """
    stages = []
    for stage in SOUND.names():
        on = values.pop(_field(stage, "on"))
        said = {name: values.pop(_field(stage, name)) for name in SOUND.options_of(stage).model_fields}
        said = {name: value for name, value in said.items() if value not in (None, ())}
        if on is False and said:
            option = next(iter(said)).replace("_", "-")
            raise OptionError(f"--no-{spoken(stage)} leaves the stage out; it cannot heed --{spoken(stage)}-{option}")
        if on or said or (on is None and stage not in OFF):
            stages.append((stage, SOUND.parse(stage, said)))
    if not stages:
        raise OptionError("every stage is switched off; see restore voice --help")
    return with_io(Recipe(tuple(stages)), values)


_PICTURE_JOB = {"precision": "auto", "batch": None, "engine": None, "workers": None, "devices": None, "address": None}
"""What only jobs with pictures are told."""
_IO = frozenset(
    {"tracks", "audio_codec", "audio_bitrate", "master", "skip_streams", "discard_segments", "start", "end",
     "overwrite", "work_dir", "device", "dry_run", "as_json", "quiet", "no_report"}
)  # fmt: skip
"""Options of reading, writing and running that mean something to sound alone."""


def _groups() -> list[tuple[str, list[click.Option]]]:
    shared = [(title, [option for option in options if option.name in _IO]) for title, options in io_groups()]
    return [*((spoken(name).capitalize(), stage_options(name)) for name in SOUND.names()), *shared]


def _voice(source: str, output: Path, **values: Any) -> int:
    return run_job(source, output, voice_recipe(values), {**values, **_PICTURE_JOB})


voice = GroupedCommand(
    "voice",
    callback=_voice,
    params=arguments(),
    groups=_groups(),
    help=_HELP.format(examples=_EXAMPLES),
)
