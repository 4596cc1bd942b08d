"""Puts the bundled models into the wheel; everything else is in pyproject.toml.

The repository keeps weights in `models/`, where their cards are; an editable installation reads them there. A wheel has
no repository around it, so the build copies each `models/<id>/` to `restore/zoo/bundled/<id>/`.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SUFFIXES = (".safetensors", ".md", ".json", "")  # "" is SHA256SUMS


class BuildWithModels(build_py):
    """`build_py`, then the models."""

    def run(self) -> None:
        """Copy the modules, then the models' files."""
        super().run()
        if self.editable_mode:
            return
        for source in sorted(Path("models").glob("*/*")):
            if source.suffix in SUFFIXES:
                target = Path(self.build_lib, "restore", "zoo", "bundled", source.parent.name, source.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithModels})
