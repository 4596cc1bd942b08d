"""Fixtures every room's tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from films import FilmSpec, write_film


@pytest.fixture
def make_film(tmp_path: Path) -> Callable[..., Path]:
    """``make_film("reel.mkv", codec="ffv1", frames=3, …)``: a tiny film, by the fields of `films.FilmSpec`."""

    def make(name: str = "reel.mp4", **facts: Any) -> Path:
        return write_film(tmp_path / name, FilmSpec(**facts))

    return make
