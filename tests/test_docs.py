"""What the documents say is so: commands parse, examples run, tables agree with the code, links lead somewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import shlex
import textwrap
import tomllib
from fractions import Fraction
from pathlib import Path

import click
import pytest

import restore
from restore.cli.main import main
from restore.cli.main import restore as command_group
from restore.cli.run import parse_chain
from restore.errors import FormatError
from restore.frames import ColorInfo, PixelFormat, VideoFormat
from restore.media.codecs import CODECS, encoder_settings
from restore.media.options import OutputOptions
from restore.pipeline.plan import Edits
from restore.provenance.consent import ConsentRecord
from restore.stages import build_stage, stage_names
from restore.voice import SOUND

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "samples/README.md"])
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
OTHER_PROGRAMS = {"pip", "python", "pytest", "export", "cd", ".", "git", "cp", "rsync", ".ci/run", "sha256sum"}


def blocks(document: Path, *languages: str) -> list[str]:
    """The fenced blocks of a document in one of the languages."""
    text = document.read_text(encoding="utf-8")
    return [textwrap.dedent(block) for _, language, block in _FENCE.findall(text) if language in languages]


def commands(document: Path) -> list[list[str]]:
    """Every simple command in the shell examples, as words."""
    found = []
    for block in blocks(document, "", "sh", "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words:
                    found.append(words)
    return found


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


ALL_COMMANDS = [
    pytest.param(words, id=f"{named(doc)}: {' '.join(words)}") for doc in DOCUMENTS for words in commands(doc)
]


@pytest.mark.parametrize("words", ALL_COMMANDS)
def test_commands_parse(words: list[str]) -> None:
    if words[0] == "restore":
        parse(words[1:])
    elif words[0] == "python" and words[1].endswith(".py"):
        source = (ROOT / words[1]).read_text(encoding="utf-8")
        missing = [word for word in words[2:] if word.startswith("--") and f'"{word}"' not in source]
        assert missing == []
    else:
        assert (
            words[0] in OTHER_PROGRAMS | {"Path", "models/<id>/<id>.safetensors"} or "=" in words[0] or "/" in words[0]
        )


def parse(words: list[str]) -> None:
    """Let Click and the option models read a command line, without running it."""
    command: click.Command = command_group
    context = click.Context(command)
    while isinstance(command, click.Group):
        if words[0].startswith("-"):
            assert words in (["--help"], ["--version"])
            return
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    context = command.make_context(context.info_name, list(words), parent=context.parent)
    if command.name == "run":
        with context.scope():
            parse_chain(context.meta["restore.chain"])
    if command.name in stage_names():
        options = {k: v for k, v in context.params.items() if v is not None}
        fields = type(build_stage(command.name).options).model_fields
        build_stage(command.name, {k: v for k, v in options.items() if k in fields})


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document: Path) -> None:
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    broken = []
    for target in _LINK.findall(text):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists():
            broken.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            if anchor not in slugs:
                broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_structured_examples_are_valid(document: Path) -> None:
    for block in blocks(document, "json"):
        value = json.loads(block)
        if "changes" in value:
            edits = Edits.model_validate(value)
            for change in edits.changes:
                if change.stage in SOUND:
                    SOUND.build(change.stage).edited(change.set)
                else:
                    build_stage(change.stage).checked_edit(change.set)
    for block in blocks(document, "toml"):
        value = tomllib.loads(block)
        if "person" in value:
            ConsentRecord.model_validate(value)
        else:
            restore.Recipe.from_dict(value)
    for block in blocks(document, "python"):
        compile(block, named(document), "exec")


@pytest.mark.parametrize("name", ["README.md", "docs/plan.md", "docs/recipe.md"])
def test_python_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    found = blocks(ROOT / name, "python")
    assert found
    for block in found:
        exec(compile(block, name, "exec"), {})


def test_the_first_command_is_ready_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """README command 1, but for the rendering; `tests/cli` runs such jobs."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert 'pip install -e ".[all]" && restore film samples/old_reel.mp4 old_reel_restored.mp4' in lines
    assert 'pip install -e ".[all,dev]" && pytest' in lines
    with contextlib.chdir(ROOT):
        assert main(["film", "samples/old_reel.mp4", str(tmp_path / "old_reel_restored.mp4"), "--dry-run"]) == 0
    assert "576x432" in capsys.readouterr().err


def default_rows() -> list[tuple[list[str], bool, list[str], str, str]]:
    """The table of docs/encoding.md: suffixes, master, pixel formats, encoder, written as."""
    text = (ROOT / "docs" / "encoding.md").read_text(encoding="utf-8")
    table = text.split("<!-- defaults")[1].split("<!-- /defaults -->")[0]
    rows = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or " · " not in cells[1]:
            continue
        suffixes = re.findall(r"`(\.\w+)`", cells[0]) or [".mp4", ".mov", ".mkv", ".webm"]
        pixels = re.findall(r"`(\w+)`", cells[1])
        rows.append((suffixes, "--master" in cells[0], pixels, cells[2].strip("`"), cells[3].strip("`")))
    return rows


@pytest.mark.parametrize("row", default_rows(), ids=str)
def test_encoding_defaults(row: tuple[list[str], bool, list[str], str, str]) -> None:
    suffixes, master, pixels, encoder, written = row
    assert pixels
    for suffix in suffixes:
        for name in pixels:
            pixel = PixelFormat.parse(name)
            color = ColorInfo(matrix="gbr", range="full") if pixel.model == "rgb" else ColorInfo()
            fmt = VideoFormat(192, 144, pixel, color, Fraction(1, 24), Fraction(24))
            try:
                settings = encoder_settings(Path("film" + suffix), fmt, OutputOptions(master=master))
                chosen = (settings.encoder, settings.format.pixel.name)
            except FormatError:
                chosen = ("refused", name)
            expected = name if written in ("the same", "") else written
            assert chosen == (encoder, expected), f"{suffix} {name}"


def test_encoder_table() -> None:
    text = (ROOT / "docs" / "encoding.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \| (.*) \| (.*)\|$", text, re.MULTILINE)
    assert {(encoder, codec) for encoder, codec, _, _ in rows} == {
        (spec.encoder, name) for name, spec in CODECS.items()
    }
    for _, codec, quality, preset in rows:
        spec = CODECS[codec]
        if spec.default_quality:
            assert quality == f"`--crf {spec.default_quality}`"
        assert preset.strip().strip("`") == (spec.preset or "")


def test_every_stage_has_a_command_and_a_page() -> None:
    for name in stage_names():
        assert (ROOT / "docs" / f"{name}.md").exists()
        assert name in command_group.list_commands(click.Context(command_group))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in command_group.list_commands(click.Context(command_group)):
        assert f"| `{name}` |" in readme
    for spec in restore.zoo.list_models():
        if spec.kind == "upscale":
            assert f"`{spec.id}`" in readme


def test_reference_tables_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "scripts" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for path, text in script.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python scripts/make_reference.py"
