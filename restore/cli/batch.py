"""`restore batch`: many reels, unattended."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restore.cli.job import PRECISIONS, engine_options, listed, progress_line, stopping
from restore.cli.options import GroupedCommand
from restore.errors import CancelledError, ClusterError, DiskFullError, OptionError
from restore.recipe import Recipe

if TYPE_CHECKING:
    from restore.archive.batch import Batch, BatchOptions, Summary
    from restore.archive.ledger import Outcome
    from restore.archive.reels import Reel
    from restore.pipeline.progress import Progress

_HELP = """\
Restore every film of SOURCES into the folder OUTPUT, unattended.

SOURCES is a folder (its tree is mirrored), a quoted glob ('reels/**/*.mov'), or a manifest: a CSV or TOML table that
says for each source what it becomes and how (docs/batch.md). What is done and has not changed is skipped; one bad reel
never stops the rest; stop whenever you like, the same command goes on where it was. Two batches cannot work on one
folder at once.

\b
Examples:
  restore batch reels restored --recipe film
  restore batch reels restored --recipe film.toml --name '{stem}_restored.mkv'
  restore batch 'reels/**/*.mov' restored --recipe film.toml --jobs 2 --devices cuda:0,cuda:1
  restore batch reels restored --recipe film --engine ray --address auto
  restore batch reels.csv restored --recipe film.toml --max-hours 8
  restore batch inbox restored --recipe film.toml --watch

\b
Exit status: 0 all are restored, 3 some failed or had damaged sources,
1 none could be restored, 2 wrong command line, 130 interrupted.
"""
_INDEX_EVERY = 300.0
"""Seconds between two index pages of a batch that runs."""
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def _bytes(text: str) -> int:
    number, unit = text.strip().upper().removesuffix("B"), ""
    if number[-1:] in _UNITS:
        number, unit = number[:-1], number[-1:]
    try:
        return int(float(number) * _UNITS[unit])
    except (ValueError, OverflowError):
        raise OptionError(f"--keep-free {text}: write a size, for example 20G") from None


def _batch(sources: str, output: Path, **values: Any) -> int:
    from restore.archive.batch import Batch, BatchOptions, batch_folder, recipes
    from restore.archive.ledger import Ledger
    from restore.engines.choice import EngineChoice

    devices = tuple(listed(values["devices"]))
    engine = EngineChoice.asked(values["engine"], values["workers"], (), values["address"])
    if engine.name != "inline":
        engine, devices = EngineChoice.asked(engine.name, engine.workers, devices, engine.address), ()
    options = BatchOptions(
        jobs=values["jobs"],
        device=values["device"],
        devices=devices,
        engine=engine,
        precision=values["precision"],
        work_dir=values["work_dir"],
        overwrite=values["overwrite"],
        retry_failed=values["retry_failed"],
        verify=values["verify"],
        limit=values["limit"],
        max_hours=values["max_hours"],
        report=not values["no_report"],
        fixity=values["fixity"],
        keep_free=_bytes(values["keep_free"]),
    )
    base = _recipe(values["recipe"]) if values["recipe"] is not None else None
    recipe_of = recipes(base, _recipe)
    teller = _Teller(values["as_json"], values["quiet"])
    find = _finder(sources, output, values["name"], values["pattern"], teller)
    reels = find()
    for reel in reels:
        recipe_of(reel)  # every recipe is read before the first reel is begun
    if values["dry_run"]:
        return _preview(reels, teller)
    with batch_folder(output) as folder, stopping() as stop, teller.open():
        batch = Batch(Ledger(folder / "ledger.jsonl"), recipe_of, options, teller, stop.is_set)
        if options.report:
            teller.now_and_then = lambda: _write_index(output, batch, options)
        try:
            summary = _go(batch, find, reels, output, values["watch"], stop, teller)
        finally:
            batch.close()
            if options.report:
                _write_index(output, batch, options)
    return summary.exit_code


def _write_index(out: Path, batch: Batch, options: BatchOptions) -> None:
    """The batch's page and table, of every reel it ever did."""
    from restore.archive.batch import job_folder
    from restore.report.batch_index import Row, write_index

    rows = []
    for outcome in batch.ledger.outcomes.values():
        job = job_folder(Path(outcome.output), out, options.work_dir)
        report = job / "report.html"
        rows.append(
            Row(
                outcome.source,
                outcome.output,
                outcome.state,
                outcome.frames,
                outcome.seconds,
                outcome.damaged,
                outcome.finished,
                outcome.error,
                report if report.exists() else None,
                job / "poster.jpg",
            )
        )
    if rows:
        write_index(out, rows)


def _preview(reels: list[Reel], teller: _Teller) -> int:
    for reel in reels:
        teller.say("plan", f"{reel.source} → {reel.output}", source=reel.source, output=str(reel.output))
    teller.say("total", f"{len(reels)} reels", reels=len(reels))
    return 0


def _recipe(name: str) -> Recipe:
    from restore.presets import preset, preset_names

    return preset(name) if name in preset_names() and not Path(name).exists() else Recipe.load(name)


def _finder(sources: str, out: Path, name: str, patterns: tuple[str, ...], teller: _Teller) -> Callable[[], list[Reel]]:
    from restore.archive.manifest import is_manifest, load_manifest
    from restore.archive.reels import checked, reels_in, reels_of

    def find() -> list[Reel]:
        path, unreadable = Path(sources), list[str]()
        if path.is_dir():
            found = list(reels_in(path, out, name, patterns, unreadable))
        elif is_manifest(path):
            found = list(load_manifest(path, out, name))
        elif has_magic(sources):
            found = list(reels_of(sources, out, name))
        else:
            found = list(reels_in(path, out, name))  # says that there is no such folder
        teller.unreadable(unreadable)
        return checked(found, sources)

    return find


def _go(
    batch: Batch, find: Callable[[], list[Reel]], reels: list[Reel], out: Path, watch: float | None, stop: Any,
    teller: _Teller,
) -> Summary:  # fmt: skip
    from restore.archive.watch import Steady

    teller.total(len(reels))
    try:
        summary = batch.run(reels, out)
    except (ClusterError, DiskFullError):
        teller.summary(batch.summary)
        raise
    teller.summary(summary)
    if watch is not None:
        teller.now_and_then()
    if watch is None or summary.stopped or summary.left:
        return summary
    steady = Steady(reels)
    while not stop.wait(watch):
        ready = steady.ready(find)
        if not ready:
            continue
        teller.total(len(ready))
        summary = batch.run(ready, out)
        teller.summary(summary)
        teller.now_and_then()
        if summary.stopped or summary.left:
            return summary
    raise CancelledError("stopped; the same command goes on from here")


class _Teller:
    """Tells people, or programs, how a batch goes."""

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json, self.quiet = as_json, quiet and not as_json
        self._known_unreadable: set[str] = set()
        self._number, self._total = 0, 0
        self._last: dict[str, float] = {}
        self.now_and_then: Callable[[], None] = lambda: None
        """Called after a reel, every few minutes."""
        self._called = time.monotonic()
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Shows bars where a person is watching."""
        if self.as_json or self.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[words]}"))
        with Bar(*columns, console=Console(stderr=True)) as self._bar:
            self._tasks[""] = self._bar.add_task("batch", total=None, words="")
            yield

    def say(self, event: str, line: str, *, style: dict[str, Any] | None = None, **facts: Any) -> None:
        """One event: as JSON on standard output, or as a line on standard error."""
        if self.as_json:
            click.echo(json.dumps({"event": event, **facts}))
        elif not self.quiet:
            text = " ".join(line.split()).encode("utf-8", "replace").decode()
            if self._bar is not None:
                self._bar.console.print(text, markup=False, highlight=False)
            else:
                click.secho(text, err=True, **(style or {}))

    def unreadable(self, lines: list[str]) -> None:
        for line in lines:
            if line not in self._known_unreadable:
                self._known_unreadable.add(line)
                self.say("unreadable", line, what=line)

    def total(self, reels: int) -> None:
        self._number, self._total = 0, reels
        self.say("start", f"{reels} reels", reels=reels)
        self._advance(0)

    def _advance(self, by: int = 1) -> None:
        self._number += by
        if self._bar is not None:
            self._bar.update(
                self._tasks[""], total=self._total, completed=self._number, words=f"{self._number}/{self._total} reels"
            )

    def started(self, reel: Reel) -> None:
        self.say("reel", f"{reel.source} → {reel.output.name}", source=reel.source, output=str(reel.output))

    def progress(self, reel: Reel, progress: Progress) -> None:
        if self._bar is not None:
            if reel.source not in self._tasks:
                self._tasks[reel.source] = self._bar.add_task(f"  {Path(reel.source).name}", total=None, words="")
            self._bar.update(
                self._tasks[reel.source], total=progress.total, completed=progress.done, words=progress_line(progress)
            )
            return
        now = time.monotonic()
        if now - self._last.get(reel.source, 0.0) < (1.0 if self.as_json else 30.0):
            return
        self._last[reel.source] = now
        self.say(
            "progress", f"  {Path(reel.source).name}: {progress_line(progress)}", source=reel.source,
            phase=progress.phase, done=progress.done, total=progress.total,
        )  # fmt: skip

    def finished(self, reel: Reel, outcome: Outcome) -> None:
        self._last.pop(reel.source, None)
        if self._bar is not None and reel.source in self._tasks:
            self._bar.remove_task(self._tasks.pop(reel.source))
        self._advance()
        if time.monotonic() - self._called > _INDEX_EVERY:
            self.now_and_then()
            self._called = time.monotonic()
        facts = {"source": outcome.source, "output": outcome.output, "seconds": round(outcome.seconds, 3)}
        if outcome.state == "failed":
            self.say("failed", f"restore: {outcome.error}", style={"fg": "red"}, error=outcome.error,
                     kind=outcome.kind, **facts)  # fmt: skip
            return
        damage = f", source damaged in {outcome.damaged} places" if outcome.damaged else ""
        self.say("done", f"{outcome.output}: {outcome.frames} frames in {outcome.seconds:.1f} s{damage}",
                 style={"fg": "green"}, frames=outcome.frames, damaged=outcome.damaged, **facts)  # fmt: skip

    def skipped(self, reel: Reel, outcome: Outcome) -> None:
        self._advance()
        if outcome.state == "failed":
            self.say("failed before", f"restore: {outcome.error} (failed before; --retry-failed tries again)",
                     source=outcome.source, output=outcome.output, error=outcome.error, kind=outcome.kind)  # fmt: skip
        elif self.as_json:
            self.say("unchanged", "", source=outcome.source, output=outcome.output)

    def summary(self, summary: Summary) -> None:
        parts = [f"{summary.done} restored", f"{summary.unchanged} done before", f"{len(summary.failed)} failed"]
        if summary.damaged:
            parts.append(f"{summary.damaged} from damaged sources")
        if summary.left:
            parts.append(f"{summary.left} left")
        stopped = f"; stopped: {summary.stopped}" if summary.stopped else ""
        self.say(
            "summary", ", ".join(parts) + stopped, style={"bold": True}, done=summary.done, unchanged=summary.unchanged,
            failed=[outcome.source for outcome in summary.failed], damaged=summary.damaged, left=summary.left,
            stopped=summary.stopped,
        )  # fmt: skip


batch = GroupedCommand(
    "batch",
    callback=_batch,
    params=[click.Argument(["sources"], type=str), click.Argument(["output"], type=click.Path(path_type=Path))],
    groups=[
        ("What", [
            click.Option(["--recipe"], metavar="RECIPE", help="A recipe's TOML file, or a preset: film."),
            click.Option(["--pattern"], multiple=True, metavar="GLOB", help="Names to take from a folder, as '*.mov'; "
                         "repeatable. [default: all that films are called]"),
            click.Option(["--name"], default="{stem}{suffix}", show_default=True, metavar="PATTERN",
                         help="Names of the outputs, of {stem}, {suffix}, {name}, {folder}, {number}."),
            click.Option(["--overwrite"], is_flag=True, help="Replace outputs that no batch made."),
            click.Option(["--retry-failed"], is_flag=True, help="Try again what failed before."),
            click.Option(["--verify"], is_flag=True, help="Hash sources and outputs again instead of trusting size, "
                         "time and inode."),
        ]),
        ("How long", [
            click.Option(["--limit"], type=click.IntRange(1), metavar="NUMBER", help="Begin at most so many reels."),
            click.Option(["--max-hours"], type=click.FloatRange(0, min_open=True), metavar="HOURS",
                         help="Stop after so long; what runs then goes on next time."),
            click.Option(["--keep-free"], default="1G", show_default=True, metavar="SIZE",
                         help="Begin no reel with less free on the output's disk."),
            click.Option(["--watch"], is_flag=False, flag_value=10.0, default=None, type=click.FloatRange(0.1),
                         metavar="SECONDS", help="Look for new files every 10 s, or so many, until interrupted."),
        ]),
        ("Job", [
            click.Option(["--jobs"], type=click.IntRange(1, 64), default=1, show_default=True, metavar="NUMBER",
                         help="Reels at once, each in a process of its own."),
            click.Option(["--device"], default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
            click.Option(["--devices"], help="Devices of the reels at once, in turn: cuda:0,cuda:1; or of the "
                         "workers of --engine local."),
            *engine_options(),
            click.Option(["--precision"], type=click.Choice(PRECISIONS), default="auto",
                         show_default=True, help="What convolutions compute in."),
            click.Option(["--work-dir"], type=click.Path(path_type=Path), help="Job folders go below it. [default: "
                         "beside the outputs]"),
            click.Option(["--fixity"], is_flag=True, help="Write checksums beside each output: .sha256, .framemd5."),
            click.Option(["--no-report"], is_flag=True, help="Write no reports: no report.html, no index page."),
            click.Option(["--dry-run"], is_flag=True, help="Say what would become what, and stop."),
            click.Option(["--json", "as_json"], is_flag=True, help="Say everything as JSON, a line an event."),
            click.Option(["--quiet", "-q"], is_flag=True, help="Say nothing but errors."),
        ]),
    ],
    options_metavar="[OPTIONS]",
    help=_HELP,
)  # fmt: skip
