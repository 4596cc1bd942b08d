"""Arrays of the plan: what an analyzer found that is too much for JSON, a file a shot.

The file is a numpy ``.npz``: ``numpy.load`` opens it, and any zip tool lists it. Unlike `numpy.savez` it is written
array by array, so that memory stays bounded, and each array is read by itself when a frame needs it.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from restore.errors import PlanError

Array = npt.NDArray[Any]
_NO_DATE = (1980, 1, 1, 0, 0, 0)
"""The least a zip file can hold: the same arrays give the same bytes."""


class PlanArrays(Mapping[str, Array]):
    """The arrays of one stage for one shot, by name; read when asked for. Can be sent to another process."""

    def __init__(self, path: Path) -> None:
        """Raises PlanError if the file is not what it should be."""
        self.path = path
        self._file: zipfile.ZipFile | None = None
        self._sizes = {info.filename.removesuffix(".npy"): (info.CRC, info.file_size) for info in self._list()}

    def _list(self) -> list[zipfile.ZipInfo]:
        try:
            with zipfile.ZipFile(self.path) as file:
                return file.infolist()
        except (OSError, zipfile.BadZipFile) as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> PlanError:
        return PlanError(f"{self.path}: cannot be read as arrays of the plan ({error}); delete it and run again")

    @property
    def digest(self) -> str:
        """Changes when an array does: made of the names, sizes and checksums that the file lists."""
        text = repr(sorted(self._sizes.items()))
        return hashlib.sha256(text.encode()).hexdigest()

    def __getitem__(self, name: str) -> Array:
        """Raises KeyError, and PlanError if the file is damaged."""
        if name not in self._sizes:
            raise KeyError(name)
        try:
            if self._file is None:
                self._file = zipfile.ZipFile(self.path)
            data = self._file.read(f"{name}.npy")
            return np.asarray(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise self._broken(error) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


def save_arrays(path: Path, arrays: Iterable[tuple[str, Array]]) -> bool:
    """Write arrays as they come, whole or not at all. Returns whether there were any; without, no file is left."""
    part = path.with_name(path.name + ".part")
    count = 0
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for name, array in arrays:
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", _NO_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, data.getbuffer())
            count += 1
    if not count:
        part.unlink()
        path.unlink(missing_ok=True)
        return False
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    os.replace(part, path)
    return True
