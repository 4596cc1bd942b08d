"""Fetching published weights, from where they are published or from a mirror.

Only files whose full SHA-256 is known are fetched. Bytes go to `NAME.part`, an interrupted transfer goes on where it
was (HTTP ranges, RFC 9110 section 14), and the file gets its name only once its hash is right.

`RESTORE_MIRROR` names a place to fetch from instead of the published addresses: `https://…`, `http://…`, `file:///…`
or a folder. It holds the files under their published names, so another machine's `models` cache folder will do.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from restore.errors import DownloadError, OptionError, WeightsError
from restore.zoo import licences
from restore.zoo.cache import (
    Progress,
    cached_path,
    copy_to_part,
    file_sha256,
    find_weights,
    locked,
    make_folder,
    set_aside,
)
from restore.zoo.resolve import ModelFile, get, resolve
from restore.zoo.spec import ModelSpec
from restore.zoo.transfer import Patience, download, host


def pull(
    model: str | ModelSpec,
    *,
    progress: Progress | None = None,
    accept_licence: bool = False,
    or_original: bool = False,
    with_companion: bool = True,
    mirror: str | None = None,
    patience: Patience = Patience(),
) -> Path:
    """Fetch a model's weights into the cache, unless they are there and right, and return where they are.

    Args:
        model: a name from the table, or a spec.
        progress: told of bytes done and in all, for each file anew.
        accept_licence: accept the licence, where it needs that; recorded in the cache folder.
        or_original: with a mirror set, use the published addresses when the mirror fails.
        with_companion: also fetch the companion that denoise strengths need.
        mirror: instead of `RESTORE_MIRROR`.
        patience: time-outs and repeated attempts.

    Raises:
        UnknownModelError: no model of that name.
        LicenceError: the licence must be accepted first.
        DownloadError: nothing could be fetched; the message says what to do without internet.
        WeightsError: the bytes are not the published ones; they are set aside as `NAME.wrong-sha256`.
        DiskFullError, OutputError: the cache folder cannot take the file.
    """
    spec = model if isinstance(model, ModelSpec) else get(model)
    if spec.bundled:
        if (path := find_weights(spec)) is None:
            raise WeightsError(f"{spec.id} is bundled, yet missing: this installation is not whole; install it again")
        return path
    if spec.sha256 is None:
        raise WeightsError(
            f"no hash of {spec.file_name} is known, so it is not fetched; get it from {spec.source}"
            " and run `restore models import FILE`"
        )
    licences.require(spec, accept=accept_licence)
    mirror = os.environ.get("RESTORE_MIRROR") if mirror is None else mirror
    sources = _addresses(spec, mirror, or_original)
    target = cached_path(spec)
    make_folder(target.parent)
    with locked(spec.file_name):
        if target.is_file() and file_sha256(target) != spec.sha256:
            set_aside(target)
        if not target.is_file():
            _fetch_first(spec, sources, target, progress, patience)
    if with_companion and spec.blend_with is not None:
        pull(spec.blend_with, progress=progress, or_original=or_original, mirror=mirror, patience=patience)
    return target


def weights_file(
    model: str | Path | ModelFile, *, download: bool = True, progress: Progress | None = None
) -> tuple[Path, str]:
    """Where a model's weights lie on this machine, and their SHA-256, checked; fetched first if that is allowed.

    Args:
        model: a name, an imported name, a path, or what `resolve` made of one.
        download: fetch published weights that are not here; otherwise that is an error.
        progress: told of the download's bytes.

    Raises:
        UnknownModelError: no such name or file.
        WeightsError: not on this machine, or not the right bytes.
        DownloadError, LicenceError: see `pull`.
    """
    file = model if isinstance(model, ModelFile) else resolve(model)
    path = file.path
    if path is None and file.spec is not None and (file.spec.bundled or download):
        path = pull(file.spec, progress=progress, with_companion=False)
    if path is None:
        remedy = f"`restore models pull {file.id}`, or `restore models import FILE`" if file.spec else "import it again"
        raise WeightsError(f"the weights of {file.id} are not on this machine: {remedy}")
    digest = file_sha256(path)
    if file.sha256 is not None and digest != file.sha256:
        raise WeightsError(
            f"{path} is not {file.id}: its SHA-256 is {digest}, not {file.sha256};"
            f" `restore models pull {file.id}` sets it aside and fetches it anew"
        )
    return path, digest


def _addresses(spec: ModelSpec, mirror: str | None, or_original: bool) -> list[str]:
    if not mirror:
        return list(spec.urls)
    if "://" not in mirror and not mirror.startswith("file:"):
        folder = Path(mirror).expanduser()
        if not folder.is_dir():
            raise OptionError(f"the mirror {mirror} is neither a folder nor an https:, http: or file: address")
        mirror = folder.absolute().as_uri()
    scheme = urlsplit(mirror).scheme.lower()
    if scheme not in ("https", "http", "file"):
        raise OptionError(f"the mirror {mirror} cannot be used: only https:, http:, file: and folders can")
    mirrored = f"{mirror.rstrip('/')}/{quote(spec.file_name)}"
    return [mirrored, *(spec.urls if or_original else ())]


def _fetch_first(
    spec: ModelSpec, sources: list[str], target: Path, progress: Progress | None, patience: Patience
) -> None:
    """Fetch from the first address that answers; a wrong file stops at once."""
    troubles = []
    for source in sources:
        try:
            _fetch_verified(source, spec, target, progress, patience)
            return
        except DownloadError as error:
            troubles.append(str(error))
    raise DownloadError(
        f"could not fetch {spec.id}: {'; '.join(troubles) or 'no address is known'}. Without internet: bring"
        f" {spec.file_name} and run `restore models import FILE`, or set RESTORE_MIRROR to a folder that holds it"
    )


def _fetch_verified(source: str, spec: ModelSpec, target: Path, progress: Progress | None, patience: Patience) -> None:
    part = target.with_name(target.name + ".part")
    if urlsplit(source).scheme.lower() == "file":
        digest = _copy_from_file(source, part, progress)
    else:
        resumed = part.exists()
        download(source, part, spec.bytes, progress, patience)
        digest = file_sha256(part)
        if digest != spec.sha256 and resumed:
            # The earlier half may have come from another server or another version: once more, from the start.
            part.unlink()
            download(source, part, spec.bytes, progress, patience)
            digest = file_sha256(part)
    if digest != spec.sha256:
        aside = set_aside(part)
        raise WeightsError(
            f"what {host(source)} sent is not {spec.file_name}: its SHA-256 is {digest}, not {spec.sha256};"
            f" refused and set aside as {aside}"
        )
    os.replace(part, target)


def _copy_from_file(source: str, part: Path, progress: Progress | None) -> str:
    address = urlsplit(source)
    if address.netloc not in ("", "localhost"):
        raise DownloadError(f"{source} names another machine; mount its folder and use file:///…")
    path = Path(url2pathname(address.path))
    try:
        return copy_to_part(path, part, progress)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DownloadError(f"the mirror has no {path}") from error
    except PermissionError as error:
        raise DownloadError(f"{path} may not be read") from error
