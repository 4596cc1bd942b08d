"""Fixity: sidecars that say what a file held when it was made, checking them years later, and BagIt folders.

``FILM.sha256`` is what ``sha256sum -c`` reads; ``FILM.framemd5`` is what FFmpeg's framemd5 writes, so neither needs
`restore`. A bag is a folder after RFC 8493 with SHA-256 manifests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from restore import __version__
from restore.errors import OutputExistsError, SourceNotFoundError
from restore.files import write_text
from restore.media.framemd5 import write_framemd5

SHA256, FRAMEMD5 = ".sha256", ".framemd5"


def write_sidecars(film: Path, *, frames: bool = True, digest: str = "") -> list[Path]:
    """Write ``FILM.sha256`` and, with `frames`, ``FILM.framemd5``; returns their paths. Raises OSError, SourceError.

    `digest` is the film's SHA-256 where it is known already.
    """
    made = [_with(film, SHA256)]
    write_text(made[0], _line(digest or _sha256(film), film.name), errors="surrogateescape")
    if frames:
        made.append(_with(film, FRAMEMD5))
        write_framemd5(film, made[1])
    return made


def _with(film: Path, suffix: str) -> Path:
    return film.with_name(film.name + suffix)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(digest: str, name: str) -> str:
    """A line as sha256sum writes it: one that escapes anything in the name begins with a backslash."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


Verdict = Literal["same", "changed", "missing", "unreadable"]


@dataclass(frozen=True)
class Checked:
    """One file and what became of it."""

    path: Path
    verdict: Verdict
    why: str = ""


def verify(folder: Path, *, frames: bool = False) -> Iterator[Checked]:
    """Check every ``.sha256`` sidecar below a folder, and the manifests of bags; with `frames`, ``.framemd5`` too.

    Raises SourceNotFoundError if there is no folder, or nothing in it to check by.
    """
    if not folder.is_dir():
        raise SourceNotFoundError(f"{folder}: no such folder")
    sidecars = sorted(folder.rglob(f"*{SHA256}")) + sorted(folder.rglob("*manifest-sha256.txt"))
    sums = sorted(folder.rglob(f"*{FRAMEMD5}")) if frames else []
    if not sidecars and not sums:
        raise SourceNotFoundError(f"{folder}: holds no .sha256, .framemd5 or BagIt manifest to check by")
    for sidecar in sidecars:
        yield from _check_list(sidecar)
    for recorded in sums:
        yield _check_frames(recorded)


def _check_list(sidecar: Path) -> Iterator[Checked]:
    try:
        lines = sidecar.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        yield Checked(sidecar, "unreadable", str(error.strerror))
        return
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        escaped = line.startswith("\\")
        recorded, _, name = line.removeprefix("\\").partition(" ")
        if len(recorded) != 64 or not name.strip():
            yield Checked(sidecar, "unreadable", f"line {number} is not a checksum and a name")
            continue
        name = name[1:] if name[0] in " *" else name
        if sidecar.suffix == ".txt":  # a bag's manifest escapes as addresses do
            name = name.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
        path = sidecar.parent / (_plain(name) if escaped else name)
        yield _compare(path, recorded.lower())


def _plain(name: str) -> str:
    return name.replace("\\\\", "\0").replace("\\n", "\n").replace("\\r", "\r").replace("\0", "\\")


def _compare(path: Path, recorded: str) -> Checked:
    try:
        now = _sha256(path)
    except FileNotFoundError:
        return Checked(path, "missing")
    except OSError as error:
        return Checked(path, "unreadable", str(error.strerror))
    return Checked(path, "same" if now == recorded else "changed")


def _check_frames(recorded: Path) -> Checked:
    film = recorded.with_name(recorded.name.removesuffix(FRAMEMD5))
    if not film.exists():
        return Checked(film, "missing")
    again = recorded.with_name(recorded.name + ".check")
    try:
        write_framemd5(film, again)
        then, now = (_sums(path) for path in (recorded, again))
    except (OSError, ValueError) as error:
        return Checked(film, "unreadable", str(error))
    finally:
        again.unlink(missing_ok=True)
    if then == now:
        return Checked(film, "same")
    first = next((n for n, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), min(len(then), len(now)))
    return Checked(film, "changed", f"frame line {first + 1} differs")


def _sums(path: Path) -> list[str]:
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    return [line.replace(" ", "") for line in lines if line and not line.startswith("#")]


def make_bag(folder: Path, bag: Path) -> Path:
    """Copy a folder's files into a BagIt folder (RFC 8493, SHA-256), whole or not at all; returns it.

    Job folders and what belongs to a batch stay out. Raises OutputExistsError if `bag` exists, OSError.
    """
    if bag.exists():
        raise OutputExistsError(f"{bag}: exists already; name another folder for the bag")
    part = bag.with_name(bag.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    payload, size, count = list[str](), 0, 0
    for path in sorted(_payload(folder, bag)):
        name = f"data/{path.relative_to(folder).as_posix()}"
        copy = part / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
        payload.append(f"{_sha256(copy)}  {name.replace('%', '%25').replace(chr(10), '%0A').replace(chr(13), '%0D')}\n")
        size, count = size + copy.stat().st_size, count + 1
    part.mkdir(parents=True, exist_ok=True)
    write_text(part / "manifest-sha256.txt", "".join(payload), errors="surrogateescape")
    write_text(part / "bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    write_text(
        part / "bag-info.txt",
        f"Bag-Software-Agent: restore {__version__}\nBagging-Date: {datetime.now(UTC).date()}\n"
        f"Payload-Oxum: {size}.{count}\n",
    )
    tags = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt")
    write_text(part / "tagmanifest-sha256.txt", "".join(f"{_sha256(part / tag)}  {tag}\n" for tag in tags))
    os.replace(part, bag)
    return bag


def _payload(folder: Path, bag: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        own = any(part.endswith(".restore") or part.startswith(".") or part.endswith(".part") for part in parts)
        if path.is_file() and not own and bag not in path.parents:
            yield path
