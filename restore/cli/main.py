"""The `restore` group. Commands are imported when used, so that help is instant."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence

import click

from restore import __version__
from restore.errors import RestoreError

_COMMANDS = {
    "film": ("restore.cli.film:film", "Restore a black-and-white or faded reel: all of it, in one go."),
    "photo": ("restore.cli.photo:photo", "Restore faded, scratched, creased photographs."),
    "upscale": ("restore.cli.stage:stage_command", "Enlarge a film, a scan or a picture."),
    "colorize": ("restore.cli.stage:stage_command", "Give a black-and-white film colours."),
    "dedust": ("restore.cli.stage:stage_command", "Take away dust, dirt and scratches."),
    "denoise": ("restore.cli.stage:stage_command", "Take grain and noise away; detail stays."),
    "regrain": ("restore.cli.stage:stage_command", "Put the source's own grain back, or grain by hand."),
    "deinterlace": ("restore.cli.stage:stage_command", "Make whole frames of fields; undo telecine."),
    "deflicker": ("restore.cli.stage:stage_command", "Even out brightness that jumps from frame to frame."),
    "stabilize": ("restore.cli.stage:stage_command", "Take gate weave away; the camera's movement stays."),
    "refade": ("restore.cli.stage:stage_command", "Give faded film and photographs contrast and colour back."),
    "retouch": ("restore.cli.stage:stage_command", "Take scratches, creases and specks out of photographs."),
    "reage": ("restore.cli.reage:reage_command", "Make one person's face younger or older."),
    "versions": ("restore.cli.versions:versions", "Try many settings on one face, and choose."),
    "faces": ("restore.cli.faces:faces", "Find the people of a film, each face followed."),
    "voice": ("restore.cli.voice:voice", "Repair the sound of a film, or a sound file."),
    "voice-versions": ("restore.cli.voice_versions:voice_versions", "Try many strengths on a worn voice, and choose."),
    "run": ("restore.cli.run:run", "Run a recipe, or several stages in a chain."),
    "batch": ("restore.cli.batch:batch", "Restore many reels, unattended."),
    "report": ("restore.cli.report:report", "Write a job's report anew."),
    "review": ("restore.cli.report:review", "Look through a job, shot by shot."),
    "compare": ("restore.cli.report:compare", "Compare two films on a page."),
    "verify-fixity": ("restore.cli.fixity:verify_fixity", "Check files against their checksums."),
    "bag": ("restore.cli.fixity:bag", "Copy finished files into a BagIt folder."),
    "probe": ("restore.cli.look:probe", "Say what a source holds, and what is assumed."),
    "shots": ("restore.cli.look:shots", "List the shots of a film."),
    "plot": ("restore.cli.look:plot", "Draw what a job's analyses found: brightness, weave."),
    "clean": ("restore.cli.look:clean", "Delete a job's rendered segments, or all of it."),
    "models": ("restore.cli.models:models", "List, fetch, check and import networks."),
    "doctor": ("restore.cli.doctor:doctor", "Say what this installation can do, and what is amiss."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        found = getattr(importlib.import_module(module), attribute)
        command: click.Command = found if isinstance(found, click.Command) else found(cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        name = args[0] if args else ""
        if name and name not in _COMMANDS and not name.startswith("-"):
            close = get_close_matches(name, _COMMANDS, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="restore")
def restore() -> None:
    """Bring old films back: enlarge, repair, archive. The person is the author.

    Every automatic decision lands in a file that can be read, changed and replayed: the job folder beside the output
    (OUTPUT.restore). Stop whenever you like; the same command goes on where it was.

    \b
    Examples:
      restore film reel.mp4 reel_restored.mp4
      restore upscale reel.mp4 reel_2x.mp4
      restore upscale scan_%06d.dpx master.mkv --fps 24 --audio track.wav --height 2160 --master
      restore run reel.mp4 out.mp4 --recipe film.toml
      restore probe reel.mp4

    \b
    Exit status: 0 done, 1 could not be done, 2 wrong command line,
    3 done but the source is partly damaged, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    # Pillow remarks on damaged EXIF and TIFF tags; they are kept as they are, and no one here can mend them.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        outcome = restore.main(args=arguments, prog_name="restore", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" See {context.command_path} --help." if context is not None else ""
        return _say(f"{error.format_message()}{hint}", error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted; the same command goes on from here", 130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output went away: not worth a word
        return 1
    except RestoreError as error:
        return _say(str(error), error.exit_code)
    except MemoryError:
        return _say("out of memory; close other programs, or give a smaller --tile", 1)
    except Exception as error:  # a defect of ours: one line unless asked for more
        if os.environ.get("RESTORE_DEBUG"):
            raise
        words = " ".join(str(error).split())[:300]
        return _say(
            f"internal error: {type(error).__name__}: {words} (RESTORE_DEBUG=1 shows where; please report it)", 1
        )


def _say(message: str, status: int) -> int:
    click.echo(f"restore: {' '.join(message.split())}", err=True)
    return status
