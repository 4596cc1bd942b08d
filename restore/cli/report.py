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
    from restore import pages

    click.echo(str(pages.report(job)))
    return 0


@click.command(short_help="Look through a job, shot by shot.")
@click.argument("job", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Serve here. [default: any that is free]")
@click.option("--no-browser", is_flag=True, help="Say the address, open nothing.")
def review(job: Path, port: int, no_browser: bool) -> int:
    """Look through a finished JOB (OUTPUT.restore) in the browser: accept, reject, comment, change strengths.

    The page is served to this machine alone. What you choose goes into the job's edits.json at once; running the job's
    command again renders only what you changed and replaces its own output.

    \b
    Examples:
      restore review reel_2x.mp4.restore
    """
    import webbrowser

    from restore import pages
    from restore.errors import OutputError
    from restore.report.review_server import ReviewServer

    found = pages.review(job)
    try:
        server = ReviewServer(found, port)
    except OSError as error:
        raise OutputError(f"--port {port}: cannot be served on ({error.strerror}); choose another") from None
    with server:
        click.echo(server.address)
        click.echo("Ctrl-C ends the review", err=True)
        if not no_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("what you chose is in edits.json; run the same command again", err=True)
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
    from restore import pages

    if page.exists() and not overwrite:
        raise OutputExistsError(f"{page}: exists already; add --overwrite to replace it, or name another --page")
    click.echo(str(pages.compare(first, second, page, truth)))
    return 0
