from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from restore.cli.models import models
from restore.errors import RestoreError, UnknownModelError, WeightsError
from restore.zoo.spec import ModelSpec
from restore.zoo.table import MODELS


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(models, list(arguments))
    if result.exception is not None and not isinstance(result.exception, (RestoreError, SystemExit)):
        raise result.exception
    return result


@pytest.fixture
def tiny(
    make_spec: Callable[..., ModelSpec],
    tiny_state: Callable[[int], dict[str, Tensor]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    path = tmp_path / "file.pth"
    torch.save(tiny_state(1), path)
    monkeypatch.setitem(MODELS, "tiny", make_spec(path.read_bytes(), "tiny"))
    return path


def test_list_names_every_model_and_its_licence() -> None:
    output = run("list").output
    for spec in MODELS.values():
        assert spec.id in output
        assert spec.licence.id in output
    rows = json.loads(run("list", "--json").output)
    assert [row["id"] for row in rows] == list(MODELS)
    assert {row["state"] for row in rows if row["id"].startswith("RealESRGAN")} == {"no"}


def test_list_and_help_import_no_torch() -> None:
    code = (
        "import sys; from restore.cli.models import models; models(['list'], standalone_mode=False);"
        "assert not {'torch', 'spandrel', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_show_tells_licence_source_and_hash() -> None:
    output = run("show", "realesrnet_x4plus").output
    for words in ("BSD-3-Clause", "one registry only", "a820b9bde89a874d", "https://github.com/xinntao/Real-ESRGAN"):
        assert words in output
    assert json.loads(run("show", "RealESRNet_x4plus", "--json").output)["scale"] == 4
    assert isinstance(run("show", "RealESRNet").exception, UnknownModelError)


def test_pull_shows_the_licence_and_prints_the_path(tiny: Path, cache: Path) -> None:
    result = run("pull", "tiny")
    assert result.exit_code == 0
    assert "Use freely." in result.stderr
    assert result.stdout.strip() == str(cache / "models" / "tiny.pth")
    assert "yes" in run("list").output


def test_pull_from_a_mirror_with_the_wrong_file(tiny: Path, server: Any, cache: Path) -> None:
    server.files["realesr-general-x4v3.pth"] = b"not it"
    result = run("pull", "realesr-general-x4v3", "--mirror", server.url)
    assert isinstance(result.exception, WeightsError)
    assert (cache / "models" / "realesr-general-x4v3.pth.wrong-sha256").exists()


def test_pull_without_names_is_a_wrong_command_line() -> None:
    assert run("pull").exit_code == 2


def test_verify_all_and_one(tiny: Path, cache: Path) -> None:
    run("pull", "tiny")
    result = run("verify", "tiny")
    assert (result.exit_code, result.output.split()[:2]) == (0, ["ok", "tiny:"])
    (cache / "models" / "tiny.pth").write_bytes(b"rot")
    result = run("verify", "--json")
    assert isinstance(result.exception, WeightsError)
    statuses = {entry["id"]: entry["status"] for entry in json.loads(result.stdout)}
    assert statuses["tiny"] == "wrong"
    assert isinstance(run("verify", "RealESRGAN_x4plus").exception, WeightsError)
    assert run("verify", str(tiny)).output.startswith("ok")


def test_import_says_what_it_took(tiny: Path, tmp_path: Path, tiny_state: Callable[[int], dict[str, Tensor]]) -> None:
    assert "imported as tiny" in run("import", str(tiny)).output
    torch.save(tiny_state(9), tmp_path / "mine.pth")
    assert "imported as own" in run("import", str(tmp_path / "mine.pth"), "--name", "own").output
    assert "your own network" in run("list").output
    assert json.loads(run("show", "own", "--json").output)["state"] == "imported"


@pytest.mark.parametrize("command", ["list", "show", "pull", "verify", "import"])
def test_help_has_an_example(command: str) -> None:
    assert f"restore models {command}" in run(command, "--help").output
