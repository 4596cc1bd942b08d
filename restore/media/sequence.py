"""Image sequences as films: a source that decodes them in order and a sink that writes one whole file a frame."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from restore.errors import FormatError, OptionError, OutputError, SourceError
from restore.frames import Frame, Planes, VideoFormat
from restore.media.picture_files import Picture
from restore.media.picture_files.dpx import frames_to_timecode
from restore.media.picture_formats import check_picture_size
from restore.media.pictures import PictureMetadata, check_samples, read_picture, upright, write_picture
from restore.media.sequence_files import NumberedNames, describe_gaps, is_sequence, list_sequence

__all__ = ["NumberedNames", "SequenceSink", "SequenceSource", "is_sequence", "list_sequence"]

_READERS = 4
"""Pictures decoded at once; FFmpeg, zlib and libjpeg let go of the interpreter while they work."""
_AHEAD_BYTES = 2**29
"""Fewer are decoded at once where they would take more memory than this."""


class SequenceSource:
    """The pictures of a sequence as frames; pts count from 0 in a time base of 1 / frame rate.

    Pictures with an orientation are turned upright: a film has one orientation. A context manager; frames()
    may run in several threads at once.
    """

    def __init__(self, name: str | os.PathLike[str], frame_rate: Fraction | None = None, *, hold: bool = False) -> None:
        """List the files and decode the first.

        `name` is a pattern (``scan_%06d.dpx``, ``scan_####.dpx``), a glob (``scan_*.tif``) or a folder.
        `frame_rate` wins over the headers'; without either: OptionError. Gaps in the numbering raise SourceError
        with the missing numbers, unless `hold`: then the picture before is repeated.
        """
        self.decode_errors = 0
        self.mended = False
        self.threads = 1
        self.watched = False
        self.lost: Sequence[int] = ()
        self._name = os.fspath(name)
        self.files = list_sequence(name)
        gaps = self.files.missing()
        if gaps and not hold:
            raise SourceError(
                f"{self._name}: missing {describe_gaps(gaps)}; add them, or repeat the ones before (--hold)"
            )
        first = self._read(0)
        self.metadata = first.metadata
        rate = frame_rate or first.metadata.frame_rate
        if rate is None:
            raise OptionError(f"{self._name}: the pictures do not say their frame rate; give it (--fps 24)")
        if rate <= 0:
            raise OptionError(f"{self._name}: a frame rate of {rate} is not possible; give one above 0 (--fps 24)")
        rate = Fraction(rate)
        self.metadata = replace(self.metadata, frame_rate=rate)
        self.start_number = self.files.numbers[0]
        self._ahead = max(1, min(_READERS, _AHEAD_BYTES // sum(plane.nbytes for plane in first.planes)))
        self.format = VideoFormat(
            width=first.width,
            height=first.height,
            pixel=first.pixel,
            color=first.color,
            time_base=1 / rate,
            frame_rate=rate,
            sample_aspect=first.metadata.sample_aspect,
        )

    def __len__(self) -> int:
        """How many frames there are, held ones included."""
        return self.files.numbers[-1] - self.files.numbers[0] + 1

    def frames(self, start_pts: int | None = None) -> Iterator[Frame]:
        """The frames from `start_pts` on; a few are decoded ahead.

        A picture that cannot be decoded is replaced by the one before and marked corrupt; SourceError where
        it is the first, or where a picture's size or format is not that of the first.
        """
        start = max(start_pts or 0, 0)
        if start >= len(self):
            return
        pts, shown = start, None
        for position, picture in self._decoded(self._file_of(start)):
            if picture is not None:
                shown = picture.planes
            elif shown is None:
                shown = self._last_good(position)
            end = self._end_of(position)
            for number in range(pts, end):
                yield Frame(pts=number, planes=shown, corrupt=picture is None, key=True, duration=1)
            pts = end

    def use_index(self, key_pts: Sequence[int], seekable: bool) -> None:
        """See `Source.use_index`: every picture can be read by itself anyway."""

    def identity(self) -> list[tuple[str, int, int]]:
        """(name, size, modification time in ns) of each file, for the job's hash of its source."""
        found = {}
        with os.scandir(self.files.folder) as entries:
            wanted = set(self.files.names)
            for entry in entries:
                if entry.name in wanted:
                    status = entry.stat()
                    found[entry.name] = (entry.name, status.st_size, status.st_mtime_ns)
        return [found[name] for name in self.files.names if name in found]

    def close(self) -> None:
        """Nothing stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _path(self, position: int) -> Path:
        return self.files.folder / self.files.names[position]

    def _read(self, position: int) -> Picture:
        return upright(read_picture(self._path(position)))

    def _read_like_first(self, position: int) -> Picture | None:
        """The picture, None where it cannot be decoded."""
        try:
            picture = self._read(position)
        except SourceError as error:
            if isinstance(error.__cause__, OSError):
                raise  # The disk or the network failed, not the picture.
            return None
        form = self.format
        if (picture.width, picture.height, picture.pixel) != (form.width, form.height, form.pixel):
            raise SourceError(
                f"{self._path(position)}: is {picture.width}x{picture.height} {picture.pixel.name}, the sequence "
                f"{form.width}x{form.height} {form.pixel.name}; convert it, or take it out"
            )
        return picture

    def _decoded(self, first: int) -> Iterator[tuple[int, Picture | None]]:
        """The pictures from position `first` on, in order, a few decoded ahead."""
        ahead: deque[Future[Picture | None]] = deque()
        count = len(self.files.names)
        with ThreadPoolExecutor(self._ahead, "restore-picture") as readers:
            try:
                for position in range(first, count):
                    while len(ahead) < self._ahead and position + len(ahead) < count:
                        ahead.append(readers.submit(self._read_like_first, position + len(ahead)))
                    yield position, ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def _last_good(self, position: int) -> Planes:
        """What a damaged picture shows, the same wherever decoding starts: the last good one before it."""
        for earlier in range(position - 1, -1, -1):
            picture = self._read_like_first(earlier)
            if picture is not None:
                return picture.planes
        raise SourceError(f"{self._path(position)}: damaged, and no picture before it to show instead")

    def _file_of(self, pts: int) -> int:
        """The position of the file shown at `pts`."""
        return bisect_right(self.files.numbers, self.start_number + pts) - 1

    def _end_of(self, position: int) -> int:
        """The pts after the last frame that shows the file at `position`."""
        numbers = self.files.numbers
        return (numbers[position + 1] if position + 1 < len(numbers) else numbers[-1] + 1) - numbers[0]


class SequenceSink:
    """Writes one whole file a frame, numbered from `start_number`. Existing files are replaced; whether they
    may be is the caller's matter. A context manager; write() may run in several threads at once."""

    def __init__(
        self,
        name: str | os.PathLike[str],
        format: VideoFormat,
        *,
        start_number: int = 1,
        metadata: PictureMetadata | None = None,
        quality: int = 95,
    ) -> None:
        """`name` is a pattern; `format` must be what `output_format` gives for it.

        Raises OptionError for a name that is no pattern, FormatError for samples or a size the files cannot
        hold, OutputError where the folder does not exist.
        """
        self.names = NumberedNames.parse(name)
        self.format = format
        self.start_number = start_number
        self.quality = quality
        self._metadata = replace(
            metadata or PictureMetadata(),
            frame_rate=format.frame_rate,
            sample_aspect=format.sample_aspect,
        )
        if start_number < 0:
            raise OptionError(f"{name}: numbers cannot start at {start_number}")
        check_samples(self.path_for(0), format.pixel)
        check_picture_size(self.path_for(0), format.width, format.height)
        if not self.names.folder.is_dir():
            raise OutputError(f"{self.names.folder}: no such folder; make it first")

    def path_for(self, index: int) -> Path:
        """Where the frame of that index goes."""
        return self.names.path(self.start_number + index)

    def write(self, index: int, frame: Frame) -> Path:
        """Write the frame and return its path. Timecode, where the metadata have one, counts on from frame 0."""
        metadata = self._metadata
        if metadata.timecode is not None:
            code = frames_to_timecode(metadata.timecode, index, self.format.frame_rate)
            metadata = replace(metadata, timecode=code)
        if metadata.frame_position is not None:
            metadata = replace(metadata, frame_position=metadata.frame_position + index)
        if frame.planes[0].shape != (self.format.height, self.format.width):
            raise FormatError(f"frame {index} is not {self.format.width}x{self.format.height}")
        path = self.path_for(index)
        write_picture(path, frame.planes, self.format.pixel, self.format.color, metadata, quality=self.quality)
        return path

    def close(self) -> None:
        """Every file is already whole."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
