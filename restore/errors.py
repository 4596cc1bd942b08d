"""Every error `restore` raises on purpose.

Each is also the built-in exception a Python programmer would expect, so ``except FileNotFoundError`` works.
A message is one line: what happened, where, and what to do about it. The command line prints it and exits
with `exit_code`.
"""

from __future__ import annotations


class RestoreError(Exception):
    """Base of all errors that are the situation's fault, not the program's."""

    exit_code = 1

    def __str__(self) -> str:
        # KeyError and OSError would otherwise quote or number the message.
        return " ".join(str(part) for part in self.args)


class SourceNotFoundError(RestoreError, FileNotFoundError):
    """The source, or a file named by an option, does not exist."""


class SourceError(RestoreError, ValueError):
    """The source exists but cannot be used: not media, empty, no picture, nothing decodes."""


class OutputError(RestoreError, OSError):
    """The output cannot be written: no rights, no such folder, a device error."""


class OutputExistsError(RestoreError, FileExistsError):
    """The output exists and is not this job's own."""


class DiskFullError(OutputError):
    """Not enough free space for the output or the job folder."""


class OptionError(RestoreError, ValueError):
    """An option, recipe or edit has a value that cannot work."""

    exit_code = 2


class FormatError(RestoreError, ValueError):
    """The output's container, codec and pixel format cannot go together, or cannot hold a stream."""

    exit_code = 2


class PlanError(RestoreError, ValueError):
    """A file of the job folder (plan, edits, journal) cannot be read as what it should be."""


class JobBusyError(RestoreError, BlockingIOError):
    """Another process is working on the same job folder."""


class UnknownModelError(OptionError, LookupError):
    """No model of that name, and no file at that path."""


class WeightsError(RestoreError, ValueError):
    """A weights file is not what it should be: wrong hash, wrong keys, unsupported network, an impostor."""


class DownloadError(RestoreError, ConnectionError):
    """Weights could not be fetched."""


class LicenceError(RestoreError, PermissionError):
    """A model's licence must be accepted first."""


class ConsentError(RestoreError, PermissionError):
    """Altering a person's face or voice was asked for without a valid consent record or a stated reason."""

    exit_code = 2


class DeviceMemoryError(RestoreError, MemoryError):
    """The device ran out of memory even with the smallest tile."""


class EngineError(RestoreError, RuntimeError):
    """Workers keep dying, or cannot be reached."""


class ClusterError(EngineError):
    """A cluster cannot be reached, has no room, or does not see the files: no fault of the job's."""


class DeviceError(RestoreError, RuntimeError):
    """The device asked for is not there."""


class CancelledError(RestoreError):
    """The run was cancelled by its caller; the job folder keeps what was done."""

    exit_code = 130
