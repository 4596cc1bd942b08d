"""The stage that CONTRIBUTING.md tells how to add really works."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import click
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "stages"))
from contract import StageContract

import restore
from restore import stages
from restore.cli.main import main
from restore.cli.stage import stage_command
from restore.pipeline.contract import Stage
from restore.stages import build_stage

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_FILE = re.compile(r"^`(restore/\S+\.py)`\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r'"(\w+)": \("([\w.:]+)", "([\w.:]+)"\),')
_SUITE = re.compile(r"^`tests/stages/test_contract.py`\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The document's files, made part of the package, and its line in the table of stages."""
    files = _FILE.findall(TEXT)
    assert len(files) == 3
    for name, code in files:
        path = tmp_path / "added" / Path(name).relative_to("restore/stages")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
        (path.parent / "__init__.py").touch()
    line = _LINE.search(TEXT)
    assert line is not None
    monkeypatch.setattr(stages, "__path__", [*stages.__path__, str(tmp_path / "added")])
    monkeypatch.setitem(stages._STAGES, line[1], (line[2], line[3]))
    yield
    for name in [name for name in sys.modules if name.startswith("restore.stages.levels")]:
        del sys.modules[name]


def luma(path: Path) -> np.ndarray:
    with av.open(str(path)) as film:
        return np.stack([frame.to_ndarray()[: frame.height] for frame in film.decode(video=0)])


@pytest.mark.usefixtures("levels")
def test_the_example_works_on_the_sample_reel(tmp_path: Path) -> None:
    command = re.search(r"^restore (run .* levels --strength 0.8)$", TEXT, re.MULTILINE)
    assert command is not None
    words = command[1].replace("samples/", f"{ROOT}/samples/").split()
    output = tmp_path / "levels.mkv"
    words[words.index("levels.mp4")] = str(output)
    words[2:2] = ["--codec", "ffv1", "--quiet"]
    assert main(words) == 0
    before, after = luma(ROOT / "samples" / "old_reel.mp4").astype(float), luma(output).astype(float)
    assert before.shape == after.shape
    shot = slice(100, 142)  # the launch: dusk, so its white is far from white
    spread = [float(np.subtract(*np.percentile(film[shot], (99.5, 0.5)))) for film in (before, after)]
    assert spread[1] > 1.1 * spread[0]
    plan = json.loads((tmp_path / "levels.mkv.restore" / "plan" / "shot-0000100.json").read_text())
    found = plan["stages"]["1-levels"]["values"]
    assert 0 < found["black"] < found["white"] < 1

    # A person's word wins over what was measured, there and nowhere else.
    edits = {"changes": [{"from": "0:05.6", "to": "0:07.8", "stage": "levels", "set": {"strength": 0}}]}
    (tmp_path / "levels.mkv.restore" / "edits.json").write_text(json.dumps(edits))
    assert main(words) == 0
    edited = luma(output)
    assert np.array_equal(edited[shot], before[shot])
    assert np.array_equal(edited[:100], after[:100])


@pytest.mark.usefixtures("levels")
def test_the_example_takes_frames_without_a_file() -> None:
    frames = np.random.default_rng(1).integers(60, 180, (3, 32, 48, 3), dtype=np.uint8)
    assert np.array_equal(restore.apply("levels", frames, strength=0), frames)
    stretched = restore.apply("levels", frames)
    assert stretched.shape == frames.shape
    assert np.ptp(stretched.astype(int).mean(3)) > np.ptp(frames.astype(int).mean(3))
    with pytest.raises(restore.errors.OptionError, match="strength"):
        restore.apply("levels", frames, strength=2)


@pytest.mark.usefixtures("levels")
def test_the_example_can_have_a_command() -> None:
    command = stage_command("levels")
    text = command.get_help(click.Context(command))
    assert "Give a faded film its blacks and whites back." in text
    assert "--black" in text


def _documented_suite() -> type[StageContract]:
    """The class that the document adds to the contract tests."""
    code = _SUITE.search(TEXT)
    assert code is not None
    scope = {"StageContract": StageContract, "Stage": Stage, "Any": Any, "pytest": pytest, "build_stage": build_stage}
    exec(code[1], scope)
    found: type[StageContract] = scope["TestLevels"]
    return found


@pytest.mark.usefixtures("levels")
class TestTheExampleKeepsTheContract(_documented_suite()):
    """The shared suite, on the document's stage."""
