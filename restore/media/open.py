"""Opening whatever a person names: a film, a sequence of pictures, or one picture."""

from __future__ import annotations

import hashlib
from pathlib import Path

from restore.errors import OptionError
from restore.media.options import InputOptions
from restore.media.pictures import PictureSource, is_picture
from restore.media.probe import SourceInfo, probe_file
from restore.media.sequence import SequenceSource, is_sequence
from restore.media.source import Source, VideoSource

_ROTATIONS = {3: 180, 6: 270, 8: 90}
"""EXIF orientation to degrees counter-clockwise; a film cannot say that a picture is mirrored."""


def open_source(name: str, options: InputOptions = InputOptions()) -> Source:
    """A source for a path or pattern. Raises SourceNotFoundError, SourceError, OptionError."""
    if is_sequence(name):
        return SequenceSource(name, options.frame_rate, hold=options.hold)
    if is_picture(name):
        return PictureSource(name)
    return VideoSource(Path(name))


def probe(name: str, options: InputOptions = InputOptions()) -> SourceInfo:
    """What a path or pattern holds. Raises as `open_source`."""
    if not (is_sequence(name) or is_picture(name)):
        if options.fps is not None:
            raise OptionError("--fps is for sequences of pictures; a film has its own times")
        return probe_file(Path(name))
    with open_source(name, options) as source:
        assert isinstance(source, SequenceSource | PictureSource)
        sequence = isinstance(source, SequenceSource)
        suffix = Path(source.files.names[0] if isinstance(source, SequenceSource) else name).suffix.lower()[1:]
        return SourceInfo(
            path=name,
            container="image sequence" if sequence else "picture",
            codec=suffix,
            format=source.format,
            stream=0,
            duration=len(source) / source.format.frame_rate if sequence else None,
            frame_count=len(source),
            start=source.format.time_base * 0,
            field_order="progressive",
            rotation=_ROTATIONS.get(source.metadata.orientation, 0),
            timecode=source.metadata.timecode,
            kind="sequence" if sequence else "picture",
        )


def identity(name: str, options: InputOptions = InputOptions()) -> str:
    """A hash that changes when the source does: sizes and times, of a film also its first and last megabyte."""
    digest = hashlib.sha256()
    if is_sequence(name) or is_picture(name):
        with open_source(name, options) as source:
            assert isinstance(source, SequenceSource | PictureSource)
            for facts in source.identity():
                digest.update(repr(facts).encode())
        return digest.hexdigest()
    file = Path(name)
    stat = file.stat()
    digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
    with file.open("rb") as stream:
        digest.update(stream.read(1 << 20))
        stream.seek(max(0, stat.st_size - (1 << 20)))
        digest.update(stream.read(1 << 20))
    return digest.hexdigest()
