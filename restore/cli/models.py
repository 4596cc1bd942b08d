"""`restore models`: which networks there are, and getting their weights."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from restore import zoo
from restore.errors import WeightsError


@click.group(short_help="List, fetch, check and import networks.")
def models() -> None:
    """List, fetch, check and import the networks that stages use.

    Fetched weights lie in the cache folder (RESTORE_CACHE). Without internet, set RESTORE_MIRROR to a folder or server
    that holds the files, or bring them with `restore models import`.
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json: bool) -> None:
    """List the known and the imported models, and which are on this machine.

    \b
    Example:
      restore models list
    """
    rows = [_facts(zoo.resolve(spec.id)) for spec in zoo.list_models()]
    rows += [_facts(file) for file in zoo.available() if file.spec is None]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max(len(row["id"]) for row in rows)
    click.secho(f"{'model':{width}}  scale  {'licence':14}  {'size':>8}  here", bold=True)
    for row in rows:
        scale = f"×{row['scale']}" if row["scale"] else ""
        click.echo(f"{row['id']:{width}}  {scale:5}  {row['licence']:14}  {_size(row['bytes']):>8}  {row['state']}")
        columns = shutil.get_terminal_size((100, 24)).columns
        click.secho(textwrap.fill(row["purpose"], columns, initial_indent="    ", subsequent_indent="    "), dim=True)


@models.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show all that is known of a model: what it is for, licence, source, hashes, where its file is.

    \b
    Example:
      restore models show realesr-general-x4v3
    """
    facts = _facts(zoo.resolve(name))
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for key, value in facts.items():
        if value not in (None, "", []):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            click.echo(f"{key.replace('_', ' '):>20}  {shown}")


@models.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="Fetch every model of the table.")
@click.option("--accept-licence", is_flag=True, help="Accept a non-commercial licence (recorded in the cache folder).")
@click.option("--mirror", metavar="URL", help="Fetch from this https:, http: or file: address or folder instead.")
@click.option("--or-original", is_flag=True, help="Where the mirror fails, fetch from where the file is published.")
def pull(names: tuple[str, ...], everything: bool, accept_licence: bool, mirror: str | None, or_original: bool) -> None:
    """Fetch weights, showing their licence first; a transfer that broke off goes on where it was.

    \b
    Examples:
      restore models pull realesr-general-x4v3
      restore models pull --all --mirror /media/usb/restore-models
    """
    if not names and not everything:
        raise click.UsageError("name the models to fetch, or use --all")
    specs = zoo.list_models() if everything else [zoo.get(name) for name in names]
    specs += [zoo.get(spec.blend_with) for spec in specs if spec.blend_with]
    for spec in dict.fromkeys(specs):
        if spec.bundled and everything:
            continue
        click.echo(f"{spec.id}: {spec.licence.id}. {spec.licence.summary} {spec.licence.url}", err=True)
        with _progress(spec.file_name) as progress:
            path = zoo.pull(
                spec,
                progress=progress,
                accept_licence=accept_licence,
                or_original=or_original,
                with_companion=False,
                mirror=mirror,
            )
        click.echo(str(path))


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Check weights against their hashes: the named ones, or all on this machine. Exit status 1 if any is not right.

    \b
    Examples:
      restore models verify
      restore models verify ~/Downloads/RealESRGAN_x4plus.pth
    """
    results = [zoo.verify(name) for name in names or [file.id for file in zoo.available()]]
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2, default=str))
    else:
        for result in results:
            click.echo(f"{result.status:8} {result.id}: {result.message}")
    bad = [result.id for result in results if result.status in ("missing", "wrong")]
    if bad:
        raise WeightsError(f"not right: {', '.join(bad)}; `restore models pull` fetches published weights anew")


@models.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Keep a network of your own under this name (default: the file's).")
@click.option("--accept-licence", is_flag=True, help="Accept a non-commercial licence (recorded in the cache folder).")
def import_command(file: Path, name: str | None, accept_licence: bool) -> None:
    """Copy a weights file into the cache, after recognising what it is.

    Known models are recognised whatever the file is called, re-saved copies too; any other super-resolution network
    that spandrel knows, and colorization networks of a known layout, can be kept under a name of their own. Known
    impostors are refused by name.

    \b
    Examples:
      restore models import /media/usb/realesr-general-x4v3.pth
      restore models import my_finetune.safetensors --name my-finetune
    """
    with _progress(file.name) as progress:
        imported = zoo.import_file(file, name=name, accept_licence=accept_licence, progress=progress)
    known = f", {imported.note}" if imported.note else ""
    click.echo(f"imported as {imported.id}{known}")
    if imported.spec is not None:
        click.echo(f"licence: {imported.spec.licence.id}. {imported.spec.licence.summary}", err=True)


def _facts(file: zoo.ModelFile) -> dict[str, Any]:
    """What `list` and `show` tell of a model, ready for JSON."""
    spec = file.spec
    size = file.path.stat().st_size if file.path else (spec.bytes if spec else None)
    facts: dict[str, Any] = {
        "id": file.id,
        "title": spec.title if spec else file.id,
        "kind": file.kind,
        "purpose": spec.purpose if spec else "your own network",
        "scale": spec.scale if spec else file.scale,
        "licence": spec.licence.id if spec else "not stated",
        "bytes": size,
        "state": _state(file),
        "path": str(file.path) if file.path else None,
        "sha256": file.sha256,
    }
    if spec is not None:
        facts |= {
            "hash_seen": spec.sha_confirmations,
            "tensor_sha256": spec.tensor_sha256,
            "half_sha256": spec.half_sha256,
            "architecture": spec.architecture,
            "precisions": list(spec.precisions),
            "blends_with": spec.blend_with,
            "licence_summary": spec.licence.summary,
            "licence_url": spec.licence.url,
            "non_commercial": spec.licence.non_commercial,
            "source": spec.source,
            "urls": list(spec.urls),
        }
    return facts


def _state(file: zoo.ModelFile) -> str:
    if file.path is None:
        return "missing" if file.spec and file.spec.bundled else "no"
    if file.spec is None:
        return "imported"
    if file.spec.bundled:
        return "bundled"
    return "copy" if file.note else "yes"


def _size(size: int | None) -> str:
    return f"{size / 1e6:.1f} MB" if size is not None else ""


@contextmanager
def _progress(label: str) -> Iterator[Any]:
    """A bar on stderr while bytes move; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
