"""Are the weights on this machine what they should be?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from restore.zoo.cache import Progress, file_sha256
from restore.zoo.resolve import resolve

Status = Literal["ok", "copy", "missing", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found."""

    id: str
    status: Status
    """`ok`: byte for byte as published (or as imported). `copy`: a recognised copy, unchanged since its import.
    `missing`: not on this machine. `wrong`: other bytes. `unknown`: there is nothing to compare with."""
    path: Path | None
    sha256: str | None
    expected: str | None
    message: str

    @property
    def good(self) -> bool:
        """Whether the weights can be used."""
        return self.status in ("ok", "copy")


def verify(name_or_path: str | Path, *, progress: Progress | None = None) -> Verification:
    """Hash a model's weights and compare with the table, the bundled checksums, or what was recorded at import.

    A bare path is compared with everything the zoo knows, by its tensors where the file's own hash says nothing.

    Raises:
        UnknownModelError: no such name or file.
        WeightsError: unreadable, or a known impostor.
    """
    file = resolve(name_or_path)
    if file.path is None:
        how = "missing from this installation" if file.spec and file.spec.bundled else "not on this machine"
        return Verification(file.id, "missing", None, None, file.sha256, how)
    digest = file_sha256(file.path, progress)
    if file.sha256 is None and file.spec is not None:
        return Verification(file.id, "unknown", file.path, digest, None, "no SHA256SUMS beside it to compare with")
    if file.sha256 is None:
        return _identify(file.id, file.path, digest)
    if digest != file.sha256:
        message = f"changed or damaged: `restore models pull {file.id}` fetches it anew"
        return Verification(file.id, "wrong", file.path, digest, file.sha256, message)
    if file.note:
        return Verification(file.id, "copy", file.path, digest, file.sha256, file.note)
    return Verification(file.id, "ok", file.path, digest, file.sha256, "as published" if file.spec else "as imported")


def _identify(model_id: str, path: Path, digest: str) -> Verification:
    from restore.zoo.load import load_state_dict
    from restore.zoo.recognise import recognise
    from restore.zoo.table import MODELS

    for spec in MODELS.values():
        if spec.sha256 == digest:
            return Verification(spec.id, "ok", path, digest, digest, "as published")
    known = recognise(load_state_dict(path), path)
    if known is None:
        return Verification(
            model_id, "unknown", path, digest, None, "not a model the table knows: nothing to compare with"
        )
    return Verification(known[0].id, "copy", path, digest, None, known[1])
