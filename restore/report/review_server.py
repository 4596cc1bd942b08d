"""The review's page, served to this machine alone."""

from __future__ import annotations

import json
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import ValidationError

from restore.errors import RestoreError
from restore.report.review import Choice, Review

_LONGEST = 64 * 1024
"""Bytes of a choice."""


class ReviewServer(ThreadingHTTPServer):
    """Serves one review on 127.0.0.1, under an address that cannot be guessed.

    Other pages open in the same browser must not be able to change a job: requests need the secret in their path, and
    a Host of this machine.
    """

    daemon_threads = True

    def __init__(self, review: Review, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.review = review
        self.secret = secrets.token_urlsafe(16)
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.server_port}/{self.secret}/"


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer

    def _known(self) -> bool:
        hosts = (f"127.0.0.1:{self.server.server_port}", f"localhost:{self.server.server_port}")
        return self.headers.get("Host") in hosts and self.path.startswith(f"/{self.server.secret}/")

    def do_GET(self) -> None:
        """The page."""
        if not self._known() or self.path != f"/{self.server.secret}/":
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "nothing is here")
            return
        with self.server.lock:
            page = self.server.review.html(f"/{self.server.secret}/choice")
        self._answer(HTTPStatus.OK, "text/html; charset=utf-8", page)

    def do_POST(self) -> None:
        """A choice."""
        if not self._known() or self.path != f"/{self.server.secret}/choice":
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "nothing is here")
            return
        try:
            size = int(self.headers.get("Content-Length", ""))
            if not 0 < size <= _LONGEST:
                raise ValueError(f"{size} bytes")
            choice = Choice.model_validate(json.loads(self.rfile.read(size)))
            with self.server.lock:
                self.server.review.choose(choice)
        except (ValueError, ValidationError, RestoreError, OSError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, "text/plain; charset=utf-8", " ".join(str(error).split()))
            return
        self._answer(HTTPStatus.OK, "text/plain", "kept")

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the person's."""
