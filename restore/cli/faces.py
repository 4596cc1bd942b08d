"""`restore faces`: the people of a film."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restore.cli.job import Voice, stopping
from restore.cli.options import given, options_for, validated
from restore.media.options import InputOptions

if TYPE_CHECKING:
    from restore.people import Found


@click.command(short_help="Find the people of a film.")
@click.argument("source")
@click.option("--detector", default="auto", show_default=True, metavar="NAME",
              help="haar (built in), yunet, retinaface, or a file of either (.onnx, .pth); auto: yunet if here, else "
              "haar.")  # fmt: skip
@click.option("--work-dir", type=click.Path(path_type=Path), help="The job folder. [default: SOURCE.restore]")
@click.option("--json", "as_json", is_flag=True, help="Say everything as JSON, a line an event.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def faces(source: str, detector: str, work_dir: Path | None, as_json: bool, quiet: bool, **values: Any) -> int:
    """Find the people of SOURCE, a film, pictures or one picture: every face followed through every shot.

    Tracks go into the job folder's plan as text that you can read, and a contact sheet beside it (faces.png,
    faces.html) shows each person with number, times and quality. Merge, rename and drop people in the folder's
    edits.json, then run the same command again. Nothing has to be downloaded; YuNet is used if its weights are here
    (restore models pull yunet), and with SFace's one person's faces in several shots are grouped.

    \b
    Examples:
      restore faces clip.mp4
      restore faces clip.mp4 --detector haar --work-dir clip_30.mp4.restore
      restore faces clip.mp4 --json
    """
    from restore import people

    reading = validated(InputOptions, given(InputOptions, values))
    with stopping() as stop, Voice(as_json, quiet).progress() as report:
        found = people.find_people(source, work_dir, detector=detector, input=reading, on_progress=report, cancel=stop)
    if as_json:
        click.echo(json.dumps(_facts(found), ensure_ascii=False))
    elif not quiet:
        for row in found.rows:
            click.echo(f"{row.number:4}  {row.name}: {row.says}")
        click.echo(f"sheet: {found.page}", err=True)
    return 0


faces.params.extend(options_for(InputOptions))


def _facts(found: Found) -> dict[str, Any]:
    people = [
        {
            "person": row.number, "name": row.name, "quality": round(row.quality, 3),
            "tracks": [
                {"track": seen.track, "from": float(seen.start), "to": float(seen.end), "width": round(seen.width, 1),
                 "quality": round(seen.quality, 3)}
                for seen in row.appearances
            ],
        }
        for row in found.rows
    ]  # fmt: skip
    return {
        "event": "faces", "people": people, "frames": found.frames, "job": str(found.folder),
        "sheet": str(found.sheet), "page": str(found.page),
    }  # fmt: skip
