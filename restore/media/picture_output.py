"""Frames leaving as picture files: one picture, or a numbered sequence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from restore.errors import FormatError
from restore.frames import Frame, PixelFormat, VideoFormat
from restore.media.open import open_source
from restore.media.options import InputOptions, OutputOptions
from restore.media.picture_metadata import PictureMetadata
from restore.media.pictures import PictureSource, is_picture, output_format, write_picture
from restore.media.probe import SourceInfo
from restore.media.sequence import SequenceSink, SequenceSource, is_sequence

_FILM_ONLY = ("codec", "crf", "preset", "master", "encoder_options")


def is_picture_output(path: Path) -> bool:
    """Whether an output's name asks for pictures rather than a film."""
    return is_picture(path)


@dataclass(frozen=True)
class PictureOutput:
    """Where pictures go, in which format, and what is written beside their pixels."""

    pattern: str
    format: VideoFormat
    start_number: int
    metadata: PictureMetadata
    quality: int
    single: bool

    def sink(self, first: int) -> PictureSink:
        """Write frames from the output's frame `first` on."""
        return PictureSink(self, first)

    def path_for(self, index: int) -> Path:
        """The file of one frame."""
        return Path(self.pattern) if self.single else self._sequence().path_for(index)

    def _sequence(self) -> SequenceSink:
        return SequenceSink(
            self.pattern, self.format, start_number=self.start_number, metadata=self.metadata, quality=self.quality
        )

    def first_existing(self) -> Path | None:
        """A file that would be replaced, if there is one."""
        if self.single:
            path = Path(self.pattern)
            return path if path.exists() else None
        names = self._sequence().names
        return next((path for path in sorted(names.folder.iterdir()) if names.number(path.name) is not None), None)

    def all_exist(self, first: int, stop: int) -> bool:
        """Whether every file of frames [first, stop) is there."""
        if self.single:
            return Path(self.pattern).exists()
        names = self._sequence()
        return all(names.path_for(index).exists() for index in range(first, stop))

    def describe(self) -> dict[str, object]:
        """As JSON values, for keys and for people."""
        fmt = self.format
        return {
            "container": Path(self.pattern).suffix.lower()[1:], "pattern": str(Path(self.pattern).absolute()),
            "pixel_format": fmt.pixel.name, "size": [fmt.width, fmt.height], "start_number": self.start_number,
            "quality": self.quality,
            "color": [fmt.color.primaries, fmt.color.transfer, fmt.color.matrix, fmt.color.range],
        }  # fmt: skip


class PictureSink:
    """One segment's frames as files; each appears whole. A context manager."""

    def __init__(self, output: PictureOutput, first: int) -> None:
        self._output = output
        self._next = first
        self._bytes = 0
        self._sequence = None if output.single else output._sequence()

    def write(self, frame: Frame) -> None:
        """Write the next frame."""
        output = self._output
        if self._sequence is not None:
            path = self._sequence.write(self._next, frame)
        else:
            path = Path(output.pattern)
            fmt = output.format
            write_picture(path, frame.planes, fmt.pixel, fmt.color, output.metadata, quality=output.quality)
        self._bytes += path.stat().st_size
        self._next += 1

    def finish(self) -> tuple[int, int]:
        """Bytes written; pictures are never reordered."""
        return self._bytes, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Every file is already whole."""


def picture_output(
    path: Path, format: VideoFormat, info: SourceInfo, input: InputOptions, options: OutputOptions
) -> PictureOutput:
    """Decide everything about writing pictures. Raises FormatError, OptionError."""
    for name in _FILM_ONLY:
        if getattr(options, name):
            flag = {"encoder_options": "-e"}.get(name, "--" + name.replace("_", "-"))
            raise FormatError(f"{flag} is for films; {path.name} is a picture")
    single = not is_sequence(path)
    if single and info.kind != "picture" and info.frame_count != 1:
        raise FormatError(
            f"{path.name}: is one picture, and the source has many; name a pattern like frame_%06d{path.suffix}"
        )
    depth = _asked_depth(options)
    pixel, color = output_format(path, format.pixel, format.color, depth)
    if color.transfer == "linear" and not pixel.is_float:
        color = replace(color, transfer="iec61966-2-1")
    if options.output_color == "bt709":
        color = replace(color, primaries="bt709", transfer="iec61966-2-1" if color.transfer != "linear" else "linear")
    metadata, start = PictureMetadata(), 1
    if info.kind != "film":
        with open_source(info.path, input) as source:
            assert isinstance(source, SequenceSource | PictureSource)
            metadata = source.metadata
            start = getattr(source, "start_number", 1)
    coloured = info.format.pixel.model == "gray" and pixel.model != "gray"  # a profile of greys fits no colours
    if info.format.color.transfer != color.transfer or options.output_color != "source" or coloured:
        metadata = metadata.without_color()
        kept = {key: value for key, value in metadata.exr_attributes.items() if key != "chromaticities"}
        metadata = replace(metadata, exr_attributes=kept)
    result = PictureOutput(
        str(path), replace(format, pixel=pixel, color=color), start, metadata, options.quality, single
    )
    if not single:
        result._sequence()  # says now what it cannot hold
    return result


def _asked_depth(options: OutputOptions) -> int | None:
    if options.pix_fmt is None:
        return None
    try:
        return PixelFormat.parse(options.pix_fmt).depth
    except ValueError:
        raise FormatError(f"--pix-fmt {options.pix_fmt}: for pictures, name a planar format like gbrp16le") from None
