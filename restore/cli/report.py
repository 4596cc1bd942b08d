"""`restore report` and `restore compare`: pages for people."""

from __future__ import annotations

from pathlib import Path

import click

from restore.errors import OutputExistsError


@click.command(short_help="Write a job's report anew.")
@click.argument("job", type=click.Path(path_type=Path))
def report(job: Path) -> int:
    """Write the report of a JOB folder (OUTPUT.restore) anew: report.html in it, one file that fetches nothing.

    Every run writes it by itself; this is for jobs that were run with --no-report, or changed since.

    \b
    Examples:
      restore report reel_2x.mp4.restore
    """
    from restore import api

    click.echo(str(api.report(job)))
    return 0


@click.command(short_help="Compare two films on a page.")
@click.argument("first")
@click.argument("second")
@click.option("--page", type=click.Path(path_type=Path), default=Path("compare.html"), show_default=True,
              help="Where to write it.")  # fmt: skip
@click.option("--truth", help="A third film, the truth: both are measured against it (PSNR, SSIM).")
@click.option("--overwrite", is_flag=True, help="Replace a page that exists.")
def compare(first: str, second: str, page: Path, truth: str | None, overwrite: bool) -> int:
    """Compare two films, FIRST and SECOND, moment by moment, on one page that fetches nothing.

    Moments are matched by their times from each film's first frame; sizes may differ.

    \b
    Examples:
      restore compare reel.mp4 reel_2x.mp4 --page reel.html
      restore compare old.mp4 new.mp4 --truth clean.mp4
    """
    from restore import api

    if page.exists() and not overwrite:
        raise OutputExistsError(f"{page}: exists already; add --overwrite to replace it, or name another --page")
    click.echo(str(api.compare(first, second, page, truth)))
    return 0
