"""Writing a small film to look at: RGB pictures in, H.264 out."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
import numpy.typing as npt

from restore.errors import OutputError


class ClipWriter:
    """A film of uint8 RGB pictures at a constant rate, which appears whole or not at all. A context manager."""

    def __init__(self, path: Path, width: int, height: int, frame_rate: Fraction) -> None:
        self.path = path
        self._part = path.with_name(path.name + ".part")
        try:
            self._file = av.open(str(self._part), "w", format="mp4")
        except (OSError, av.FFmpegError) as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
        self._stream = self._file.add_stream("libx264", rate=frame_rate, options={"crf": "14", "preset": "veryfast"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"

    def write(self, picture: npt.NDArray[np.uint8]) -> None:
        """Add one picture, (height, width, 3)."""
        self._file.mux(self._stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._file.mux(self._stream.encode(None))
        self._file.close()
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        with self._part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self.path)
