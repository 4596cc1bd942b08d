"""HTTP download into a `.part` file that goes on where it was: the only code of the project that uses the network."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from restore import __version__
from restore.errors import DownloadError
from restore.zoo.cache import Progress, require_space, write_trouble

_CHUNK = 1 << 16
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try."""

    timeout: float = 30.0
    """Seconds to wait for a byte."""
    attempts: int = 4
    """Connections in a row that bring nothing new before giving up."""
    pause: float = 1.0
    """Seconds before the second attempt; doubled for each one after."""


class _BrokenOffError(Exception):
    """The transfer failed in a way that trying again may mend."""


def host(url: str) -> str:
    """The part of an address a person recognises."""
    return urlsplit(url).netloc or url


def download(url: str, part: Path, size: int | None, progress: Progress | None, patience: Patience) -> None:
    """Bring `part` to the full length of what `url` (http or https) sends, over as many connections as it takes.

    What `part` holds already is kept and only the rest asked for (RFC 9110, section 14); a server that cannot do that
    sends everything and `part` starts anew. `size` is the length to expect where it is known. Nothing is verified here.

    Raises:
        DownloadError: the server has no such file, or cannot be reached, or keeps breaking off.
        DiskFullError, OutputError: `part` cannot be written.
    """
    failures = 0
    while True:
        before = _length(part)
        try:
            _transfer(url, part, size, progress, patience.timeout)
            return
        except _BrokenOffError as error:
            failures = 1 if _length(part) > before else failures + 1
            if failures >= patience.attempts:
                raise DownloadError(f"{host(url)}: {error}, {failures} times in a row") from error
            time.sleep(patience.pause * 2 ** (failures - 1))


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _transfer(url: str, part: Path, size: int | None, progress: Progress | None, timeout: float) -> None:
    """One connection: ask for what is missing, append it, check that all of it came."""
    have = _length(part)
    if size is not None and have == size:
        return
    if size is not None and have > size:
        part.unlink()
        have = 0
    with _open(url, part, have, timeout) as response:
        start, total = _extent(response, part, have)
        if total is None:
            total = size
        elif size is not None and total > 2 * size + (1 << 20):
            raise DownloadError(f"{host(url)} offers {total} bytes where {size} are expected: not this file")
        if total is not None:
            require_space(part.parent, total - start)
        done = _append(response, part, start, total, progress)
    if total is not None and done < total:
        raise _BrokenOffError(f"the connection ended after {done} of {total} bytes")


def _opener() -> urllib.request.OpenerDirector:
    """Proxies, redirects, http and https; no other scheme, whatever a redirect says."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _open(url: str, part: Path, have: int, timeout: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": f"restore/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response: http.client.HTTPResponse = _opener().open(
            urllib.request.Request(url, headers=headers), timeout=timeout
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise _BrokenOffError("has no such part of the file") from error
        if error.code in _TRY_AGAIN:
            raise _BrokenOffError(f"answered {error.code} {error.reason}") from error
        raise DownloadError(f"{host(url)} answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, socket.gaierror):
            raise DownloadError(f"{host(url)} cannot be found: no internet, or a wrong address") from error
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(f"{host(url)} has no valid certificate ({error.reason.verify_message})") from error
        if isinstance(error.reason, str):
            raise DownloadError(f"{host(url)}: {error.reason}") from error
        raise _BrokenOffError(f"cannot be reached ({_words(error.reason)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"cannot be reached ({_words(error)})") from error
    return response


def _extent(response: http.client.HTTPResponse, part: Path, have: int) -> tuple[int, int | None]:
    """Where the answer's first byte belongs, and how long the whole file is."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) != have:
        part.unlink(missing_ok=True)
        raise _BrokenOffError("sent another part of the file than asked for")
    return have, None if match[2] == "*" else int(match[2])


def _append(
    response: http.client.HTTPResponse, part: Path, start: int, total: int | None, progress: Progress | None
) -> int:
    """Write the answer's body at `start`; return the length of `part` then. Reading and writing fail differently."""
    done = start
    try:
        with part.open("ab" if start else "wb") as file:
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
                if total is not None and done > total:
                    raise DownloadError(f"{host(response.url)} sent more than the {total} bytes it should have")
            file.flush()
            os.fsync(file.fileno())
    except (DownloadError, _BrokenOffError):
        raise
    except OSError as error:
        raise write_trouble(part, error) from error
    return done


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"the connection broke ({_words(error)})") from error


def _words(error: BaseException) -> str:
    """A few words for an error of the network."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
