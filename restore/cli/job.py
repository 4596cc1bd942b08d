"""What every command that runs a job shares: its options, its progress, its last words."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restore.cli.options import given, options_for, validated
from restore.errors import OptionError, RestoreError
from restore.media.options import InputOptions, OutputOptions
from restore.recipe import Recipe

if TYPE_CHECKING:
    from restore.examine import PreviewResult
    from restore.media.probe import SourceInfo
    from restore.pipeline.progress import Progress
    from restore.pipeline.runner import JobResult
    from restore.pipeline.setup import Setup
    from restore.pipeline.sound_runner import SoundSetup

_DAMAGED = 3
PRECISIONS = ["auto", "fp32", "bf16", "fp16"]


def job_options() -> list[click.Option]:
    """Options of running a job, whatever its stages."""
    return [
        click.Option(["--start"], metavar="TIME", help="Render from here: 83.5, 1:23.5, 00:01:23:12, 2004f (frames)."),
        click.Option(["--end"], metavar="TIME", help="Render up to here, likewise."),
        click.Option(["--overwrite"], is_flag=True, help="Replace an output that this job did not make."),
        click.Option(["--work-dir"], type=click.Path(path_type=Path), help="The job folder. [default: OUTPUT.restore]"),
        click.Option(["--device"], default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
        click.Option(["--precision"], type=click.Choice(PRECISIONS), default="auto", show_default=True,
                     help="What convolutions compute in; auto is fp32 for sources above 8 bits and masters."),
        click.Option(["--batch"], type=click.IntRange(1, 256), help="Frames a batch; found by measuring if not given."),
        *engine_options(),
        click.Option(["--devices"], help="Devices of the workers, one each: cuda:0,cuda:1."),
        click.Option(["--no-report"], is_flag=True, help="Do not write report.html into the job folder."),
        click.Option(["--dry-run"], is_flag=True, help="Check everything, say what would be done, and stop."),
        click.Option(["--json", "as_json"], is_flag=True, help="Say everything as JSON, a line an event."),
        click.Option(["--quiet", "-q"], is_flag=True, help="Say nothing but errors."),
    ]  # fmt: skip


def arguments(optional_output: bool = False) -> list[click.Parameter]:
    """SOURCE and OUTPUT; the latter may be left out where something else can be asked for."""
    return [
        click.Argument(["source"], type=str),
        click.Argument(["output"], type=click.Path(path_type=Path), required=not optional_output),
    ]


def io_groups() -> list[tuple[str, list[click.Option]]]:
    """Options for reading, writing and running, by heading."""
    return [("Source", options_for(InputOptions)), ("Output", options_for(OutputOptions)), ("Job", job_options())]


def with_io(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with what was said on the line laid over its ``[input]`` and ``[output]``."""
    read = {**recipe.input.model_dump(exclude_unset=True), **given(InputOptions, values)}
    write = {**recipe.output.model_dump(exclude_unset=True), **given(OutputOptions, values)}
    return Recipe(recipe.stages, validated(InputOptions, read), validated(OutputOptions, write))


def run_job(source: str, output: Path, recipe: Recipe, values: dict[str, Any]) -> int:
    """Prepare, run, and say how it went. Returns the exit status."""
    from restore.engines.choice import EngineChoice

    engine = EngineChoice.asked(values["engine"], values["workers"], listed(values["devices"]), values["address"])
    if not values["dry_run"]:
        engine.warm()
    from restore import api
    from restore.pipeline.sound_runner import SoundSetup

    voice, setup = _prepared(source, output, recipe, values)
    if values["dry_run"]:
        return 0
    if engine == EngineChoice() and values["engine"] is None and not isinstance(setup, SoundSetup):
        engine = engine.suited(setup)
        engine.warm()
    with stopping() as stop, voice.progress() as report:
        result = api.run_prepared(setup, engine=engine.build(), on_progress=report, cancel=stop)
    if not values["no_report"] and not (result.unchanged and (result.folder / "report.html").exists()):
        voice.report(result.folder)
    voice.result(result)
    return _DAMAGED if result.damaged else 0


def preview_job(source: str, output: Path, recipe: Recipe, values: dict[str, Any]) -> int:
    """Prepare, and render the worst moments alone, beside their source. Returns the exit status."""
    from restore import examine
    from restore.pipeline.sound_runner import SoundSetup

    voice, setup = _prepared(source, output, recipe, values)
    if isinstance(setup, SoundSetup):
        raise OptionError("a preview shows pictures, and only the sound is repaired; try --start and --end with a .wav")
    if values["dry_run"]:
        return 0
    with stopping() as stop, voice.progress() as report:
        result = examine.preview(setup, on_progress=report, cancel=stop)
    voice.preview(result)
    return 0


def _prepared(source: str, output: Path, recipe: Recipe, values: dict[str, Any]) -> tuple[Voice, Setup | SoundSetup]:
    """Check everything, and say what will be done."""
    from restore import api

    voice = Voice(values["as_json"], values["quiet"])
    setup = api.prepare_run(
        source, output, recipe, start=values["start"], end=values["end"], work_dir=values["work_dir"],
        overwrite=values["overwrite"], device=values["device"], precision=values["precision"], batch=values["batch"],
    )  # fmt: skip
    voice.setup(setup, dry=values["dry_run"])
    return voice, setup


def engine_options() -> list[click.Option]:
    """Who renders."""
    return [
        click.Option(["--engine"], type=click.Choice(["inline", "local", "ray"]),
                     help="Who renders: this process, worker processes, or a Ray cluster. [default: workers for long "
                     "films on a processor where no stage has a network, else this process]"),
        click.Option(["--workers"], type=click.IntRange(1, 256), help="Workers; alone it implies --engine local."),
        click.Option(["--address"], metavar="ADDRESS", help="A Ray cluster: auto, HOST:PORT, ray://HOST:PORT; implies "
                     "--engine ray. [default: this machine's, or one is started]"),
    ]  # fmt: skip


def listed(words: str | None) -> list[str]:
    """Names apart by commas."""
    return [name.strip() for name in (words or "").split(",") if name.strip()]


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second stops at once."""
    stop = threading.Event()

    def handle(*_: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Voice:
    """Tells people, or programs, what happens."""

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet and not as_json
        self._told: list[str] = []

    def _event(self, kind: str, **facts: Any) -> None:
        click.echo(json.dumps({"event": kind, **facts}, ensure_ascii=False))

    def _line(self, text: str, **style: Any) -> None:
        if not self.quiet:
            click.secho(text, err=True, **style)

    def setup(self, setup: Setup | SoundSetup, dry: bool) -> None:
        """What will be done."""
        facts = describe(setup)
        if self.as_json:
            self._event("plan" if dry else "start", **facts)
            return
        self._line(f"{facts['source']['text']} → {facts['output']['text']}", bold=True)
        for stage in facts["stages"]:
            size = "{}x{}, ".format(*stage["size"]) if "size" in stage else ""
            self._line(f"  {stage['name']}: {size}{', '.join(stage['models']) or 'no network'}")
        self._line(f"  {facts['device']}, {facts['precision']}; job folder {facts['job']}")
        self._told = list(facts["notes"])
        for note in facts["notes"]:
            self._line(f"  note: {note}", fg="yellow")

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """A reporter for `restore.run`."""
        if self.as_json:
            yield lambda progress: self._event("progress", **asdict(progress))
            return
        if self.quiet:
            yield lambda _: None
            return
        if not sys.stderr.isatty():
            yield _PlainProgress()
            return
        with _rich_progress() as report:
            yield report

    def exported(self, pictures: Sequence[Path], folder: Path) -> None:
        """Which pictures were written."""
        if self.as_json:
            self._event("exported", pictures=[str(path) for path in pictures])
            return
        self._line(f"{folder}: {len(pictures)} frames to paint; hand them back with --references {folder}", fg="green")

    def result(self, result: JobResult) -> None:
        """How it went, and what was damaged."""
        from restore.times import format_duration, format_time

        if self.as_json:
            self._event(
                "done",
                output=str(result.output),
                job=str(result.folder),
                frames=result.frames,
                rendered=result.rendered,
                seconds=round(result.seconds, 3),
                unchanged=result.unchanged,
                notes=list(result.notes),
                damaged=[found.as_json() for found in result.damaged],
            )
            return
        if result.unchanged:
            self._line(f"{result.output}: is up to date, nothing to do", fg="green")
        else:
            taken = format_duration(result.seconds)
            self._line(
                f"{result.output}: {result.frames} {result.unit}, {result.rendered} rendered now, in {taken}",
                fg="green",
            )
        for note in result.notes:
            if note not in self._told:
                self._line(f"  note: {note}", fg="yellow")
        for found in result.damaged:
            missing = "missing sound, left silent" if found.kind == "silent" else "missing frames"
            what = f"{found.frames} corrupt frames" if found.frames else missing
            click.echo(
                f"restore: damaged source: {format_time(found.start)} to {format_time(found.end)}: {what}", err=True
            )

    def preview(self, result: PreviewResult) -> None:
        """What was shown, and where it lies."""
        from restore.times import format_time

        moments = [
            {"shot": m.shot.number + 1, "time": format_time(m.time), "frames": [m.start, m.end],
             "found": {f.what: f.amount for f in m.findings}}
            for m in result.moments
        ]  # fmt: skip
        if self.as_json:
            self._event("preview", film=str(result.film), sheet=str(result.sheet), moments=moments)
            return
        for m in result.moments:
            found = ", ".join(f"{f.what} {f.amount}" for f in m.findings) or "nothing found"
            self._line(f"  {format_time(m.time)}, shot {m.shot.number + 1}: {found}")
        self._line(f"{result.film}, {result.sheet}: source left, restored right", fg="green")

    def report(self, folder: Path) -> None:
        """Write the job's report. The film is made: what goes wrong here is told, and no more."""
        from restore import pages

        try:
            path = pages.report(folder)
        except (RestoreError, OSError) as error:
            self._line(f"  note: no report: {error}", fg="yellow")
            return
        if self.as_json:
            self._event("report", path=str(path))
        else:
            self._line(f"  report: {path}")


def describe(setup: Setup | SoundSetup) -> dict[str, Any]:
    """A prepared job, for people and programs."""
    from restore.pipeline.sound_runner import SoundSetup

    if isinstance(setup, SoundSetup):
        return _describe_sound(setup)
    info, last = setup.info, setup.output.format
    stages = [
        {"name": stage.name, "size": [after.width, after.height], "models": list(stage.weights())}
        for stage, after in zip(setup.request.stages, setup.formats[1:], strict=True)
    ]
    stages += [{"name": stage.name, "models": list(stage.weights())} for stage in setup.request.sound]
    source = f"{Path(info.path).name} ({source_line(info)})"
    encoding = setup.output.describe()
    encoder = f"{encoding.get('encoder', encoding.get('container'))} {last.pixel.name}"
    return {
        "source": {"path": info.path, "text": source, "frames": info.frame_count},
        "output": {
            "path": str(setup.request.output),
            "text": f"{setup.request.output.name} ({last.width}x{last.height}, {encoder})",
            **encoding,
        },
        "stages": stages,
        "streams": [str(stream) for stream in setup.copied],
        "device": str(setup.device.torch_device),
        "precision": setup.device.precision,
        "job": str(setup.folder),
        "notes": list(setup.notes),
    }


def _describe_sound(setup: SoundSetup) -> dict[str, Any]:
    request, sound = setup.request, setup.sound
    encodings = [settings.describe() for settings in sound.settings]
    words = ", ".join(dict.fromkeys(f"{e['codec']} {e['layout']}" for e in encodings))
    pictures = "pictures copied, " if any(s.kind == "video" for s in setup.copied) and setup.info.has_picture else ""
    tracks = "; ".join(str(track) for track in sound.tracks)
    return {
        "source": {"path": request.source, "text": f"{Path(request.source).name} ({tracks})", "frames": None},
        "output": {
            "path": str(request.output),
            "text": f"{request.output.name} ({pictures}{words})",
            "container": setup.container,
            "tracks": encodings,
        },
        "stages": [{"name": stage.name, "models": list(stage.weights())} for stage in request.sound],
        "streams": [str(stream) for stream in setup.copied],
        "device": str(sound.device.torch_device),
        "precision": sound.device.precision,
        "job": str(setup.folder),
        "notes": list(setup.notes),
    }


def source_line(info: SourceInfo) -> str:
    """A source in a few words."""
    fmt = info.format
    rate = f"{float(fmt.frame_rate):.6g} fps, " if info.kind != "picture" else ""
    return f"{fmt.width}x{fmt.height}, {rate}{info.codec} {fmt.pixel.name}, {fmt.color.matrix} {fmt.color.range}"


_SPEEDS = {"frames": "fps", "s of sound": "times real time"}
_PHASES = {"list": "finding shots", "analyse": "analysing", "render": "rendering", "join": "joining"}


class _PlainProgress:
    """A line now and then, for logs."""

    _EVERY = 10.0

    def __init__(self) -> None:
        self._last = (0.0, "")

    def __call__(self, progress: Progress) -> None:
        import time

        finished = progress.total is not None and progress.done >= progress.total
        now = time.monotonic()
        if (
            progress.phase == self._last[1] and not finished and now - self._last[0] < self._EVERY
        ) or not progress.done:
            return
        self._last = (now, progress.phase)
        click.echo(progress_line(progress), err=True)


def progress_line(progress: Progress) -> str:
    """Progress in one line of text."""
    from restore.times import format_duration

    total = f"/{progress.total}" if progress.total else ""
    fps = f", {progress.fps:.1f} {_SPEEDS.get(progress.unit, 'a second')}" if progress.fps else ""
    left = f", {format_duration(progress.remaining)} left" if progress.remaining else ""
    return f"{_PHASES[progress.phase]}: {progress.done}{total} {progress.unit}{fps}{left}"


@contextmanager
def _rich_progress() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description:14}"), BarColumn(), TextColumn("{task.fields[words]}"))
    with Bar(*columns, console=Console(stderr=True), transient=False) as bar:
        tasks: dict[str, TaskID] = {}

        def report(progress: Progress) -> None:
            if progress.phase not in tasks:
                tasks[progress.phase] = bar.add_task(_PHASES[progress.phase], total=progress.total, words="")
            words = progress_line(progress).split(": ", 1)[1]
            bar.update(tasks[progress.phase], completed=progress.done, total=progress.total, words=words)

        yield report
