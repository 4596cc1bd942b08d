"""A real HTTP server on this machine, a cache folder of one's own, and small real networks."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import Tensor

from restore.zoo.spec import Licence, ModelSpec

OPEN = Licence(id="MIT", summary="Use freely.", url="https://example.org/mit")


@dataclass
class Server:
    """What the test server serves, and how badly."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    with_length: bool = True
    claimed_length: int | None = None
    break_after: list[int] = field(default_factory=list)
    """Bytes to send before breaking the connection, one number a request, then no more breaking."""
    statuses: list[int] = field(default_factory=list)
    """Statuses to answer first, one a request."""
    redirects: dict[str, str] = field(default_factory=dict)
    delay: threading.Event | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    state: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        state, asked = self.state, self.headers.get("Range")
        state.requests.append((self.path, asked))
        if state.delay is not None:
            state.delay.wait(5)
        name = self.path.lstrip("/")
        if state.statuses:
            self.send_error(state.statuses.pop(0))
        elif name in state.redirects:
            self.send_response(302)
            self.send_header("Location", state.redirects[name])
            self.end_headers()
        elif name not in state.files:
            self.send_error(404)
        else:
            self._send(state.files[name], asked)

    def _send(self, content: bytes, asked: str | None) -> None:
        state, start = self.state, 0
        if asked and state.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        if state.with_length:
            self.send_header("Content-Length", str(state.claimed_length or len(body)))
        self.end_headers()
        self.wfile.write(body[: state.break_after.pop(0)] if state.break_after else body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("RESTORE_CACHE", str(folder))
    monkeypatch.delenv("RESTORE_MIRROR", raising=False)
    return folder


@pytest.fixture
def make_spec(server: Server) -> Callable[..., ModelSpec]:
    """A spec for bytes that the server serves."""

    def make(content: bytes, name: str = "test-model", **changes: object) -> ModelSpec:
        file_name = f"{name}.pth"
        server.files[file_name] = content
        facts: dict[str, object] = {
            "id": name,
            "title": name,
            "kind": "upscale",
            "purpose": "a test",
            "architecture": "SRVGGNetCompact",
            "licence": OPEN,
            "source": "https://example.org",
            "file_name": file_name,
            "scale": 2,
            "urls": (f"{server.url}/{file_name}",),
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        return ModelSpec(**(facts | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def tiny_state() -> Callable[[int], dict[str, Tensor]]:
    """State dicts of a small SRVGGNetCompact, ×2, by seed."""

    def make(seed: int) -> dict[str, Tensor]:
        from spandrel.architectures.Compact import Compact

        torch.manual_seed(seed)
        return dict(Compact(num_feat=4, num_conv=1, upscale=2).state_dict())

    return make


@pytest.fixture
def material() -> Path:
    """The folder of published weights kept beside the project."""
    root = Path(os.environ.get("RESTORE_TEST_MATERIAL", Path(__file__).parents[2].parent / "shared" / "test"))
    weights = root / "weights"
    if not weights.is_dir():
        pytest.skip(f"no test material at {root} (RESTORE_TEST_MATERIAL)")
    return weights
