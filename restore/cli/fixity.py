"""`restore verify-fixity`, `restore bag`: what was kept is what was made."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click


@click.command("verify-fixity", short_help="Check files against their checksums.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--frames", is_flag=True, help="Decode films and check every frame (.framemd5) as well.")
@click.option("--json", "as_json", is_flag=True, help="Say everything as JSON, a line a file.")
def verify_fixity(folder: Path, frames: bool, as_json: bool) -> int:
    """Check every file below FOLDER that has a checksum: .sha256 sidecars, and the manifests of BagIt folders.

    Exit status: 0 if all are the same, 1 if any is changed, missing or unreadable.

    \b
    Examples:
      restore verify-fixity restored
      restore verify-fixity restored --frames
    """
    from restore.archive.fixity import verify

    counts: Counter[str] = Counter()
    for found in verify(folder, frames=frames):
        counts[found.verdict] += 1
        if as_json:
            click.echo(json.dumps({"path": str(found.path), "verdict": found.verdict, "why": found.why}))
        elif found.verdict != "same":
            why = f" ({found.why})" if found.why else ""
            click.echo(f"restore: {found.path}: {found.verdict}{why}", err=True)
    bad = sum(counts.values()) - counts["same"]
    if not as_json:
        click.echo(f"{counts['same']} files are the same, {bad} are not", err=True)
    return 1 if bad else 0


@click.command(short_help="Copy finished files into a BagIt folder.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("bag_folder", metavar="BAG", type=click.Path(path_type=Path))
def bag(folder: Path, bag_folder: Path) -> int:
    """Copy the files of FOLDER into BAG, a BagIt folder (RFC 8493) with SHA-256 manifests; job folders stay out.

    \b
    Examples:
      restore bag restored /archive/restored-2026
    """
    from restore.archive.fixity import make_bag
    from restore.errors import SourceNotFoundError
    from restore.pipeline.job import disk_errors

    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder}: no such folder")
    with disk_errors(bag_folder):
        click.echo(str(make_bag(folder, bag_folder)))
    return 0
