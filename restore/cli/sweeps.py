"""Commands that make numbered versions: a sweep, the list of what it made, and the choice of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from restore.errors import OptionError

if TYPE_CHECKING:
    from restore.numbered import Kept


class SweepGroup(click.Group):
    """A group whose first word may be a source: then its sweep is meant.

    Args:
        name: of the command.
        sweep: what makes versions.
        files: a pattern of the files in which folders here keep versions: ``*/versions.json``.
        kept: reads those of a job folder.
        choose: writes the recipe of one: job folder, number, file or None, whether to replace it; returns the file.
    """

    def __init__(
        self, name: str, sweep: click.Command, files: str, kept: Callable[[Path], Kept],
        choose: Callable[[Path, int, Path | None, bool], Path],
    ) -> None:  # fmt: skip
        super().__init__(name, help=sweep.help)
        self._files, self._kept, self._choose = files, kept, choose
        self.add_command(sweep)
        source = click.Argument(["source"], required=False)
        folder = click.Option(
            ["--work-dir"], type=click.Path(path_type=Path), help="The job folder. [default: SOURCE.restore]"
        )
        self.add_command(
            click.Command("list", callback=self._list, params=[source, folder], help=_LIST.format(name),
                          short_help="List the versions that were made of SOURCE.")
        )  # fmt: skip
        self.add_command(
            click.Command(
                "pick", callback=self._pick, help=_PICK.format(name), short_help="Choose a version: writes its recipe.",
                params=[
                    click.Argument(["number"], type=click.IntRange(1)), source, folder,
                    click.Option(["--recipe", "-o", "path"], type=click.Path(path_type=Path),
                                 help="Where to write it. [default: version-NUMBER.toml beside the versions]"),
                    click.Option(["--overwrite"], is_flag=True, help="Replace a recipe that is there."),
                ],
            )
        )  # fmt: skip

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options that come first are the sweep's."""
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            args = ["sweep", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A word that is no command is a source."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["sweep", *args])

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sweep's help, and that of the other words."""
        sweep = self.commands["sweep"]
        sweep.format_help(click.Context(sweep, parent=ctx.parent, info_name=self.name), formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands[name].short_help or "") for name in ("list", "pick")])

    def _list(self, source: str | None, work_dir: Path | None) -> int:
        kept = self._kept(self._folder(source, work_dir))
        for version in kept.versions:
            picked = "  (picked)" if version.number == kept.picked else ""
            click.echo(f"{version.number:4}  {version.label}{picked}")
        return 0

    def _pick(self, number: int, source: str | None, work_dir: Path | None, path: Path | None, overwrite: bool) -> int:
        written = self._choose(self._folder(source, work_dir), number, path, overwrite)
        click.echo(f"{written}: restore run SOURCE OUTPUT --recipe {written}")
        return 0

    def _folder(self, source: str | None, work_dir: Path | None) -> Path:
        """The job folder that is meant. Raises OptionError where that is not clear."""
        from restore.pipeline.job import default_folder

        if work_dir is not None:
            return work_dir
        if source is not None:
            return default_folder(Path(source))
        found = sorted({Path(path.parts[0]) for path in Path().glob(self._files)})
        if len(found) != 1:
            several = f"several folders here have versions ({', '.join(map(str, found))})"
            what = several if found else "no versions are here"
            raise OptionError(f"{what}: name the SOURCE they are of, or --work-dir")
        return found[0]


_LIST = """\
List the versions that were made of SOURCE; it may be left out where one folder here has versions.

\b
Examples:
  restore {0} list
  restore {0} list clip.mp4
"""
_PICK = """\
Choose version NUMBER of SOURCE: its recipe is written, for restore run, and the choice noted.

SOURCE may be left out where one folder here has versions.

\b
Examples:
  restore {0} pick 7
  restore {0} pick 7 clip.mp4 -o chosen.toml
"""
