"""The job folder: everything needed to go on, to change one's mind, and to say what was done.

``OUT.restore/job.json`` (what this job is), ``plan/`` and ``edits.json``, ``journal.jsonl`` and ``segments/``.
"""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO, Any, Self

from restore.errors import JobBusyError, OutputError, OutputExistsError, PlanError, SourceNotFoundError
from restore.pipeline.journal import Journal
from restore.pipeline.plan import Plan, read_json, write_json


def default_folder(output: Path) -> Path:
    """The job folder of an output: beside it, ``.restore`` added. A pattern's ``%06d`` stays in the name."""
    return output.with_name(output.name + ".restore")


class Job:
    """An opened and locked job folder. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = Plan(folder)
        self.segments = folder / "segments"
        self.manifest_path = folder / "job.json"
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            for path in (self.plan.folder, self.segments):
                path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise OutputError(
                f"{self.folder}: the job folder cannot be made ({error.strerror}); choose another with --work-dir"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise JobBusyError(
                f"{self.folder}: another process is working on this job; wait for it, or stop it"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()

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
        for path in (self.plan.folder, self.segments):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        (self.folder / "journal.jsonl").unlink(missing_ok=True)
        self.manifest_path.unlink(missing_ok=True)

    def owns_output(self, output: Path) -> bool:
        """Whether the output file was made by this job and not touched since."""
        made = self.manifest.get("finished", {})
        if made.get("output") != str(output.absolute()) or not output.exists():
            return False
        stat = output.stat()
        return bool(made.get("bytes") == stat.st_size and made.get("mtime_ns") == stat.st_mtime_ns)


def clean(folder: Path, everything: bool = False) -> int:
    """Delete a job's rendered segments, or the whole folder; returns the bytes freed.

    Raises SourceNotFoundError, PlanError (not a job folder) and JobBusyError.
    """
    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder}: no such job folder")
    if not (folder / "job.json").exists():
        raise PlanError(f"{folder}: has no job.json, so it is no job folder; nothing was deleted")
    with Job(folder) as job:
        victims = [path for path in (folder.rglob("*") if everything else job.segments.glob("*")) if path.is_file()]
        freed = sum(path.stat().st_size for path in victims)
        if everything:
            shutil.rmtree(folder)
        else:
            for path in victims:
                path.unlink()
            job.journal().path.unlink(missing_ok=True)
    return freed
