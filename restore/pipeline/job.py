"""The job folder: everything needed to go on, to change one's mind, and to say what was done.

``OUT.restore/job.json`` (what this job is), ``plan/`` and ``edits.json``, ``journal.jsonl`` and ``segments/``.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from restore.errors import (
    DiskFullError,
    JobBusyError,
    OutputError,
    OutputExistsError,
    PlanError,
    RestoreError,
    SourceNotFoundError,
)
from restore.pipeline.journal import Journal
from restore.pipeline.plan import Plan, read_json, write_json


def default_folder(output: Path) -> Path:
    """The job folder of an output: beside it, ``.restore`` added. A pattern's ``%06d`` stays in the name."""
    return output.with_name(output.name + ".restore")


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OURS = ("plan", "segments", "stills", "sound", "journal.jsonl", "edits.json", "job.json", "lock", "report.html",
         "poster.jpg", "plots", "faces.html", "faces.png", "versions", "versions.json", "voice-versions")  # fmt: skip
"""Everything a job folder holds; `clean` touches nothing else."""


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Say clearly what the system says of files while a job runs: DiskFullError or OutputError."""
    try:
        yield
    except RestoreError:
        raise
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        if error.errno in _NO_ROOM:
            raise DiskFullError(f"{where}: no room ({why}); make some and run the same command again") from None
        raise OutputError(f"{where}: {why}; mend that and run the same command again") from None


class Job:
    """An opened and locked job folder. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = Plan(folder)
        self.segments = folder / "segments"
        self.manifest_path = folder / "job.json"
        self._lock = FileLock(folder / "lock", timeout=0)

    def __enter__(self) -> Self:
        try:
            for path in (self.plan.folder, self.segments):
                path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise JobBusyError(
                f"{self.folder}: another process is working on this job; wait for it, or stop it"
            ) from None
        except OSError as error:
            raise OutputError(
                f"{self.folder}: the job folder cannot be made ({error.strerror}); choose another with --work-dir"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def manifest(self) -> dict[str, Any]:
        """What ``job.json`` says; empty for a new job."""
        if not self.manifest_path.exists():
            return {}
        found = read_json(self.manifest_path)
        if not isinstance(found, dict):
            raise PlanError(f"{self.manifest_path}: not a job; remove the folder with `restore clean {self.folder}`")
        return found

    def update_manifest(self, **facts: Any) -> None:
        """Add to ``job.json``, atomically."""
        write_json(self.manifest_path, {**self.manifest, **facts})

    def journal(self) -> Journal:
        """The list of finished segments."""
        return Journal(self.folder / "journal.jsonl")

    def segment_path(self, key: str) -> Path:
        """Where a segment with this key lies."""
        return self.segments / f"{key[:20]}.segment"

    def adopt(self, identity: str, overwrite: bool) -> None:
        """Make sure this folder is the job of that source and output, starting over if allowed.

        Raises OutputExistsError if the folder holds the work of another source.
        """
        known = self.manifest.get("source", {}).get("identity")
        if known is None or known == identity:
            return
        if not overwrite:
            raise OutputExistsError(
                f"{self.folder}: holds the work of another source, or this one changed since; add --overwrite to start "
                "over, or choose another folder with --work-dir"
            )
        for path in (self.plan.folder, self.segments, self.folder / "sound", self.folder / "stills"):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        (self.folder / "journal.jsonl").unlink(missing_ok=True)
        self.manifest_path.unlink(missing_ok=True)

    def owns_output(self, output: Path) -> bool:
        """Whether the output file was made by this job and not touched since."""
        if not output.exists():
            return False
        found = {"output": str(output.absolute()), **self.file_facts(output)}
        manifest = self.manifest
        return any(found.items() <= (manifest.get(state) or {}).items() for state in ("finished", "joining"))

    @staticmethod
    def file_facts(path: Path) -> dict[str, int]:
        """By what a finished output is known again."""
        stat = path.stat()
        return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def clean(folder: Path, everything: bool = False) -> int:
    """Delete a job's rendered segments, or the whole folder; returns the bytes freed.

    Raises SourceNotFoundError, PlanError (not a job folder) and JobBusyError.
    """
    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder}: no such job folder")
    if not (folder / "job.json").exists():
        raise PlanError(f"{folder}: has no job.json, so it is no job folder; nothing was deleted")
    with disk_errors(folder), Job(folder) as job:
        places = (
            [folder / name for name in _OURS]
            if everything
            else [job.segments, folder / "sound", folder / "journal.jsonl"]
        )
        files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
        freed = sum(file.stat().st_size for file in files if file.is_file())
        for place in places:
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
    if everything and not any(folder.iterdir()):
        folder.rmdir()
    return freed
