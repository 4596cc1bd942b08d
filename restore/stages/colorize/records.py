"""Frames of a shot kept on the disk while it is analysed, so that memory does not grow with it."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt


class Records:
    """Arrays of one shape, by number, in a file that vanishes when it is closed."""

    def __init__(self, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._bytes = int(np.prod(shape)) * self._dtype.itemsize
        self._file = tempfile.TemporaryFile(prefix="restore-colorize-")  # noqa: SIM115 - see close

    def __setitem__(self, number: int, array: npt.NDArray[Any]) -> None:
        self._file.seek(number * self._bytes)
        self._file.write(np.ascontiguousarray(array, self._dtype).tobytes())

    def __getitem__(self, number: int) -> npt.NDArray[Any]:
        self._file.seek(number * self._bytes)
        return np.frombuffer(self._file.read(self._bytes), self._dtype).reshape(self._shape)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
