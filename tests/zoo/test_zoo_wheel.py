from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_wheel_holds_the_bundled_models(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    root = Path(__file__).parents[2]
    if not (root / "setup.py").is_file():
        pytest.skip("not run from the repository")
    project = tmp_path / "project"
    shutil.copytree(root / "restore" / "zoo", project / "restore" / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(root / name, project)
    (project / "README.md").touch()
    (project / "models" / "reel-x2").mkdir(parents=True)
    (project / "models" / "reel-x2" / "reel-x2.safetensors").write_bytes(b"weights")
    build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "wheel")]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    bundled = tmp_path / "wheel" / "restore" / "zoo" / "bundled" / "reel-x2" / "reel-x2.safetensors"
    assert bundled.read_bytes() == b"weights"
    look = "from restore import zoo; print(zoo.resolve('reel-x2').path)"
    for name in ("__init__.py", "errors.py"):
        shutil.copy(root / "restore" / name, tmp_path / "wheel" / "restore")
    found = subprocess.run(
        [sys.executable, "-c", look], cwd=tmp_path / "wheel", check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == str(bundled.resolve())
