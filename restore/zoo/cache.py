"""Where weights lie on this machine: the cache folder, and the models bundled with the project.

`RESTORE_CACHE` names the cache folder. Without it: `$XDG_CACHE_HOME/restore` or `~/.cache/restore` (Linux),
`~/Library/Caches/restore` (macOS), `%LOCALAPPDATA%\\restore\\Cache` (Windows). In it:

    models/         the published files, under their published names; the folder as it is can serve as a mirror
    imported/       files people brought with `restore models import`
    imported.json   what those are
    licences.json   which licences were accepted, and when
    locks/          so that two processes do not fetch the same file at once
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

from restore.errors import DiskFullError, OutputError, RestoreError, WeightsError
from restore.zoo.spec import ModelSpec

Progress = Callable[[int, int | None], None]
"""Called with the bytes done and the bytes in all (None where unknown)."""

_CHUNK = 1 << 20
_SPARE_BYTES = 8 << 20


def cache_dir() -> Path:
    """The cache folder (not created): `RESTORE_CACHE`, or the platform's place for a user's caches."""
    if chosen := os.environ.get("RESTORE_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "restore" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "restore"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "restore"


def cached_path(spec: ModelSpec) -> Path:
    """Where the published file of `spec` lies in the cache once it was fetched or imported."""
    return cache_dir() / "models" / spec.file_name


def bundled_dirs() -> tuple[Path, ...]:
    """Folders that may hold the project's own models: the repository's `models/`, or the copy inside a wheel."""
    package = Path(__file__).resolve().parent
    repository = package.parent.parent
    in_wheel = package / "bundled"
    if (repository / "pyproject.toml").is_file():
        return (repository / "models", in_wheel)
    return (in_wheel,)


def find_weights(spec: ModelSpec) -> Path | None:
    """The model's file on this machine, or None. Bundled models are never looked for in the cache."""
    places = [folder / spec.id / spec.file_name for folder in bundled_dirs()] if spec.bundled else [cached_path(spec)]
    return next((place for place in places if place.is_file()), None)


def expected_sha256(spec: ModelSpec, path: Path) -> str | None:
    """The hash the file at `path` must have: the table's, or for a bundled model that in its `SHA256SUMS`."""
    if not spec.bundled:
        return spec.sha256
    sums = path.parent / "SHA256SUMS"
    if not sums.is_file():
        return None
    for line in sums.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition(" ")
        if name.lstrip(" *") == path.name:
            return digest.lower()
    return None


def file_sha256(path: Path, progress: Progress | None = None) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    digest, done = hashlib.sha256(), 0
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}; check the file and its rights") from error
    return digest.hexdigest()


def set_aside(path: Path) -> Path:
    """Rename a file whose hash is wrong to `NAME.wrong-sha256`, where nothing loads it, and return the new path."""
    aside = path.with_name(path.name.removesuffix(".part") + ".wrong-sha256")
    os.replace(path, aside)
    return aside


def make_folder(folder: Path) -> Path:
    """Create a folder of the cache, or say in one line why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot create the model cache {folder}: {error.strerror or error};"
            " point RESTORE_CACHE at a folder you may write to"
        ) from error
    return folder


def read_record(name: str) -> dict[str, Any]:
    """One of the cache's JSON records by file name; empty where there is none yet."""
    path = cache_dir() / name
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read {path}: {error}; repair the file or move it away") from error
    if not isinstance(record, dict):
        raise WeightsError(f"cannot read {path}: not a JSON object; repair the file or move it away")
    return record


def write_record(name: str, record: dict[str, Any]) -> None:
    """Write one of the cache's JSON records, whole or not at all."""
    path = make_folder(cache_dir()) / name
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=2, sort_keys=True, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise write_trouble(path, error) from error


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock of that name, waiting for other processes; released when the process ends, however."""
    lock = FileLock(make_folder(cache_dir() / "locks") / f"{name}.lock")
    try:
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise OutputError(
            f"cannot lock {lock.lock_file}: {error}; point RESTORE_CACHE at a local folder you may write to"
        ) from error
    try:
        yield
    finally:
        lock.release()


def require_space(folder: Path, needed: int) -> None:
    """Insist on room for `needed` more bytes in `folder`.

    Raises:
        DiskFullError: there is less.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise DiskFullError(
            f"not enough space in {folder}: {needed / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free;"
            " make room, or point RESTORE_CACHE elsewhere"
        )


def write_trouble(path: Path, error: OSError) -> OutputError:
    """The right exception, in one line, for an error while writing into the cache."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"the disk filled up while writing {path}; make room, or point RESTORE_CACHE elsewhere")
    return OutputError(
        f"cannot write {path}: {error.strerror or error}; check rights, or point RESTORE_CACHE elsewhere"
    )


def copy_to_part(source: Path, part: Path, progress: Progress | None = None) -> str:
    """Copy a file to `part`, synced to the disk, and return the copy's hex SHA-256; the caller renames it.

    Raises:
        FileNotFoundError, PermissionError: `source` cannot be opened.
        WeightsError: `source` cannot be read to its end.
        DiskFullError, OutputError: `part` cannot be written.
    """
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as reader:
        total = os.fstat(reader.fileno()).st_size
        require_space(make_folder(part.parent), total)
        try:
            with part.open("wb") as writer:
                while chunk := _read(reader, source):
                    writer.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    if progress:
                        progress(done, total)
                writer.flush()
                os.fsync(writer.fileno())
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, OSError) and not isinstance(error, RestoreError):
                raise write_trouble(part, error) from error
            raise
    return digest.hexdigest()


def _read(reader: BinaryIO, source: Path) -> bytes:
    try:
        return reader.read(_CHUNK)
    except OSError as error:
        raise WeightsError(f"cannot read {source}: {error.strerror or error}; copy it from another medium") from error
