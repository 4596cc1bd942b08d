"""Files that appear under their names whole, and on the disk, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes its name, flushed to the disk, once it is complete.

    Until then it is called ``NAME.part``; what goes wrong removes it and leaves the file of that name as it was.
    Raises OSError.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, errors: str = "strict") -> None:
    """Write a small file whole or not at all, in UTF-8, lines as they are; `errors` as `open` takes it."""
    with whole(path) as file:
        file.write(text.encode("utf-8", errors))
