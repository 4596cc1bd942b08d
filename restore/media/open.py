"""Opening whatever a person names: a film, a sequence of pictures, one picture; and writing pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from restore.errors import OptionError
from restore.frames import Frame, VideoFormat
from restore.media.options import InputOptions, OutputOptions
from restore.media.probe import SourceInfo, probe_file
from restore.media.source import Source, VideoSource


def open_source(path: str, options: InputOptions = InputOptions()) -> Source:
    """A source for a path or pattern. Raises SourceNotFoundError, SourceError, OptionError."""
    return VideoSource(Path(path))


def probe(path: str, options: InputOptions = InputOptions()) -> SourceInfo:
    """What a path or pattern holds."""
    return probe_file(Path(path))


def identity(path: str, info: SourceInfo) -> str:
    """A hash that changes when the source does: size, time, and the first and last megabyte."""
    file = Path(path)
    stat = file.stat()
    digest = hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    with file.open("rb") as stream:
        digest.update(stream.read(1 << 20))
        stream.seek(max(0, stat.st_size - (1 << 20)))
        digest.update(stream.read(1 << 20))
    return digest.hexdigest()


def is_picture_output(path: Path) -> bool:
    """Whether an output's name asks for pictures rather than a film."""
    return False


@dataclass(frozen=True)
class PictureOutput:
    """Frames as files of pictures."""

    pattern: str
    format: VideoFormat
    start_number: int = 0
    def sink(self, first: int) -> Any:
        raise NotImplementedError
    def first_existing(self, folder): ...
    def all_exist(self, a, b): ...
    def describe(self): ...

def picture_output(path, format, info, options): ...
