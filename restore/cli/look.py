"""Commands that look, and one that tidies up: probe, shots, clean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restore.cli.options import given, options_for, validated
from restore.media.options import InputOptions
from restore.times import format_time

if TYPE_CHECKING:
    from restore.stages.deinterlace.survey import FieldSurvey


class _Reading(click.Command):
    """A command that reads a source, and takes the options for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(options_for(InputOptions))


@click.command(cls=_Reading, short_help="Say what a source holds, and what is assumed.")
@click.argument("source")
@click.option("--no-look", is_flag=True, help="Report what the container says alone; decode no frames.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def probe(source: str, no_look: bool, as_json: bool, **values: Any) -> None:
    """Say what SOURCE holds: picture, colour, sound, and what is assumed where it says nothing.

    Of a film, some hundred frames are decoded to see whether it is progressive, interlaced or telecined, whatever
    its flags say.

    \b
    Examples:
      restore probe reel.mp4
      restore probe "scan_%06d.dpx" --fps 24 --json
    """
    from restore import api, examine

    reading = validated(InputOptions, given(InputOptions, values))
    info = api.probe(source, reading)
    fields = None if no_look else examine.survey_fields(source, reading)
    fmt, color = info.format, info.format.color
    facts: dict[str, Any] = {
        "source": info.path,
        "kind": info.kind,
        "container": info.container,
        "codec": info.codec,
        "size": f"{fmt.width}x{fmt.height}",
        "sample aspect": str(fmt.sample_aspect),
        "pixel format": fmt.pixel.name,
        "bits": fmt.pixel.depth,
        "frame rate": f"{fmt.frame_rate} ({float(fmt.frame_rate):.6g})",
        "time base": str(fmt.time_base),
        "start": f"{float(info.start):.6f} s",
        "duration": None if info.duration is None else format_time(info.duration),
        "frames (container)": info.frame_count,
        "fields": info.field_order,
        "fields found": None if fields is None else _fields(fields),
        "rotation": info.rotation,
        "timecode": info.timecode,
        "primaries": _tag(color.primaries, "primaries", color.assumed),
        "transfer": _tag(color.transfer, "transfer", color.assumed),
        "matrix": _tag(color.matrix, "matrix", color.assumed),
        "range": _tag(color.range, "range", color.assumed),
        "mastering display": info.mastering_display,
        "content light": info.content_light,
        "streams": [f"{stream} {stream.details or ''}".strip() for stream in info.streams],
        "chapters": info.chapters,
        "metadata": info.metadata,
    }
    if as_json:
        seen = None if fields is None else fields.as_json()
        facts |= {"fields found": seen, "assumed": sorted(color.assumed)}
        click.echo(json.dumps(facts, indent=1, ensure_ascii=False, default=str))
        return
    for name, value in facts.items():
        if value in (None, [], {}) or (name in ("rotation", "chapters") and not value):
            continue
        if isinstance(value, list):
            value = "\n                    ".join(str(item) for item in value)
        elif isinstance(value, dict):
            value = "\n                    ".join(f"{key}: {text}" for key, text in value.items())
        click.echo(f"{click.style(f'{name:18}', bold=True)}  {value}")


def _fields(found: FieldSurvey) -> str:
    order = {"tff": ", top field first", "bff": ", bottom field first"}.get(found.field_order or "", "")
    return f"{found.kind}{order}: {found.why}"


def _tag(value: str, name: str, assumed: frozenset[str]) -> str:
    return f"{value} (assumed: the source does not say)" if name in assumed else value


@click.command(cls=_Reading, short_help="List the shots of a film.")
@click.argument("source")
@click.option("--work-dir", type=click.Path(path_type=Path), help="Take the shots from this job, edits applied.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def shots(source: str, work_dir: Path | None, as_json: bool, **values: Any) -> None:
    """List the shots of SOURCE: number, times, frames.

    \b
    Examples:
      restore shots reel.mp4
      restore shots reel.mp4 --work-dir reel_2x.mp4.restore --json
    """
    from restore import api

    found = api.shots(source, work_dir, validated(InputOptions, given(InputOptions, values)))
    if as_json:
        rows = [
            {"shot": s.number, "start": float(s.start), "end": float(s.end), "frames": [s.start_frame, s.end_frame]}
            for s in found
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    for shot in found:
        frames = shot.end_frame - shot.start_frame
        click.echo(
            f"{shot.number:5}  {format_time(shot.start)} to {format_time(shot.end)}  "
            f"frames {shot.start_frame} to {shot.end_frame - 1} ({frames})"
        )


@click.command(short_help="Draw what a job's analyses found.")
@click.argument("job", type=click.Path(path_type=Path))
def plot(job: Path) -> None:
    """Draw what JOB's analyses found, your edits applied, into JOB/plots: brightness and its course, the weave's path.

    \b
    Examples:
      restore plot reel_restored.mp4.restore
    """
    from restore import examine

    written = examine.plot(job)
    for path in written:
        click.echo(path)
    if not written:
        click.echo(f"{job}: nothing to draw; no flicker or weave was found worth taking away", err=True)


@click.command(short_help="Delete a job's rendered segments, or all of it.")
@click.argument("job", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Delete the plan and the edits too: the whole folder.")
def clean(job: Path, everything: bool) -> None:
    """Free the space of JOB's rendered segments; the plan and the person's edits stay.

    \b
    Examples:
      restore clean reel_2x.mp4.restore
      restore clean reel_2x.mp4.restore --all
    """
    from restore.pipeline.job import clean as clean_job

    freed = clean_job(job, everything)
    click.echo(f"{job}: {freed / 1e6:.1f} MB freed", err=True)
