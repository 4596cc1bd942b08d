"""Fixtures every room's tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from films import FilmSpec, write_film

torch.set_num_threads(1)


@pytest.fixture
def make_film(tmp_path: Path) -> Callable[..., Path]:
    """``make_film("reel.mkv", codec="ffv1", frames=3, …)``: a tiny film, by the fields of `films.FilmSpec`."""

    def make(name: str = "reel.mp4", **facts: Any) -> Path:
        return write_film(tmp_path / name, FilmSpec(**facts))

    return make


@pytest.fixture
def known_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the test stages known to recipes."""
    from material.stages import STAGES

    from restore import stages

    for name, cls in STAGES.items():
        monkeypatch.setitem(stages._STAGES, name, ("material.stages:AmountOptions", f"material.stages:{cls.__name__}"))


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small random SRVGGNetCompact, x2, seven convolutions deep."""
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "tiny-x2.pth"
    torch.save({"params": Compact(num_feat=8, num_conv=5, upscale=2).state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def tiny_reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small random ReelUpscaler, x2, that heeds its degradation vector."""
    from safetensors.torch import save_file

    from restore.nets.reel import ReelUpscaler

    torch.manual_seed(3)
    net = ReelUpscaler(2, features=8, depth=3)
    torch.nn.init.normal_(net.modulation.weight, std=0.3)
    path = tmp_path_factory.mktemp("weights") / "tiny-reel-x2.safetensors"
    save_file(net.state_dict(), path)
    return path


@pytest.fixture
def journal_keys() -> Callable[[Path], dict[tuple[int, int], str]]:
    """The journal of a job folder: the newest key of each stretch of frames."""
    from restore.pipeline.journal import Journal

    def read(folder: Path) -> dict[tuple[int, int], str]:
        return {(entry.start, entry.end): entry.key for entry in Journal(folder / "journal.jsonl").entries.values()}

    return read
