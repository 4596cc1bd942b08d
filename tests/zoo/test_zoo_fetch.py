from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from restore import zoo
from restore.errors import DiskFullError, DownloadError, LicenceError, OptionError, OutputError, WeightsError
from restore.zoo.spec import Licence, ModelSpec

CONTENT = bytes(range(256)) * 1024
QUICK = zoo.Patience(timeout=2, attempts=3, pause=0.001)
MakeSpec = Callable[..., ModelSpec]


def test_pull_brings_the_bytes_and_reports_progress(make_spec: MakeSpec, server: Any, cache: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = zoo.pull(make_spec(CONTENT), progress=lambda *now: seen.append(now))
    assert path == cache / "models" / "test-model.pth"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert list(path.parent.iterdir()) == [path]


def test_pull_again_asks_nobody(make_spec: MakeSpec, server: Any) -> None:
    spec = make_spec(CONTENT)
    zoo.pull(spec)
    zoo.pull(spec)
    assert len(server.requests) == 1


def test_a_cached_file_that_rotted_is_set_aside_and_fetched_anew(make_spec: MakeSpec, server: Any) -> None:
    spec = make_spec(CONTENT)
    path = zoo.pull(spec)
    path.write_bytes(b"rotten")
    assert zoo.pull(spec).read_bytes() == CONTENT
    assert path.with_name("test-model.pth.wrong-sha256").read_bytes() == b"rotten"


def test_a_broken_connection_is_resumed_where_it_was(make_spec: MakeSpec, server: Any) -> None:
    server.break_after = [1000, 500]
    path = zoo.pull(make_spec(CONTENT), patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", "bytes=1500-"]


def test_a_later_run_resumes_what_an_earlier_one_left(make_spec: MakeSpec, server: Any, cache: Path) -> None:
    spec = make_spec(CONTENT)
    server.break_after = [1000]
    with pytest.raises(DownloadError, match="1000 of 262144 bytes"):
        zoo.pull(spec, patience=zoo.Patience(attempts=1))
    assert (cache / "models" / "test-model.pth.part").stat().st_size == 1000
    assert not (cache / "models" / "test-model.pth").exists()
    assert zoo.pull(spec).read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=1000-"


def test_a_server_without_ranges_starts_over(make_spec: MakeSpec, server: Any) -> None:
    server.ranges = False
    server.break_after = [1000]
    assert zoo.pull(make_spec(CONTENT), patience=QUICK).read_bytes() == CONTENT


def test_a_server_without_lengths_is_checked_against_the_known_size(make_spec: MakeSpec, server: Any) -> None:
    server.with_length = False
    server.break_after = [1000]
    assert zoo.pull(make_spec(CONTENT), patience=QUICK).read_bytes() == CONTENT


def test_a_server_that_always_breaks_is_given_up(make_spec: MakeSpec, server: Any) -> None:
    server.ranges = False
    server.break_after = [1000] * 50
    with pytest.raises(DownloadError, match="times in a row"):
        zoo.pull(make_spec(CONTENT), patience=QUICK)
    assert len(server.requests) < 6


def test_a_part_from_elsewhere_does_not_spoil_the_file(make_spec: MakeSpec, cache: Path) -> None:
    part = cache / "models" / "test-model.pth.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"another version" * 10)
    assert zoo.pull(make_spec(CONTENT)).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(make_spec: MakeSpec, cache: Path) -> None:
    part = cache / "models" / "test-model.pth.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    assert zoo.pull(make_spec(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize("wrong", [b"<html>captive portal</html>", CONTENT[:-1] + b"!", CONTENT + b"!"])
def test_a_wrong_file_is_refused_and_set_aside(make_spec: MakeSpec, server: Any, cache: Path, wrong: bytes) -> None:
    spec = make_spec(CONTENT)
    server.files[spec.file_name] = wrong
    with pytest.raises(WeightsError, match="SHA-256") as caught:
        zoo.pull(spec, patience=QUICK)
    assert "\n" not in str(caught.value)
    assert [p.name for p in (cache / "models").iterdir()] == ["test-model.pth.wrong-sha256"]
    assert (cache / "models" / "test-model.pth.wrong-sha256").read_bytes() == wrong


def test_a_busy_server_is_asked_again(make_spec: MakeSpec, server: Any) -> None:
    server.statuses = [503, 429]
    assert zoo.pull(make_spec(CONTENT), patience=QUICK).read_bytes() == CONTENT


def test_a_missing_file_is_not_asked_for_again_and_the_way_out_is_named(make_spec: MakeSpec, server: Any) -> None:
    spec = make_spec(CONTENT)
    server.files.clear()
    with pytest.raises(DownloadError, match=r"404.*restore models import FILE.*RESTORE_MIRROR"):
        zoo.pull(spec, patience=QUICK)
    assert len(server.requests) == 1


def test_redirects_are_followed_but_only_to_http(make_spec: MakeSpec, server: Any, tmp_path: Path) -> None:
    spec = make_spec(CONTENT)
    server.files["elsewhere"] = server.files.pop(spec.file_name)
    server.redirects[spec.file_name] = f"{server.url}/elsewhere"
    assert zoo.pull(spec).read_bytes() == CONTENT
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    local = make_spec(CONTENT, "local")
    server.redirects[local.file_name] = secret.as_uri()
    with pytest.raises(DownloadError):
        zoo.pull(local, patience=QUICK)


def test_a_server_that_is_not_there(make_spec: MakeSpec) -> None:
    spec = make_spec(CONTENT, urls=("http://127.0.0.1:1/test-model.pth",))
    with pytest.raises(DownloadError, match="cannot be reached"):
        zoo.pull(spec, patience=QUICK)


def test_a_server_that_claims_too_much(make_spec: MakeSpec, server: Any) -> None:
    server.claimed_length = 10**16
    with pytest.raises(DownloadError, match="not this file"):
        zoo.pull(make_spec(CONTENT), patience=QUICK)
    with pytest.raises(DiskFullError, match="not enough space"):
        zoo.pull(make_spec(CONTENT, "vast", bytes=10**16), patience=QUICK)


def test_a_cache_that_cannot_be_made(make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RESTORE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match="RESTORE_CACHE"):
        zoo.pull(make_spec(CONTENT))


def test_four_at_once_fetch_once(make_spec: MakeSpec, server: Any) -> None:
    spec = make_spec(CONTENT)
    server.delay = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        pulls = [pool.submit(zoo.pull, spec) for _ in range(4)]
        server.delay.set()
        assert {p.result().read_bytes() for p in pulls} == {CONTENT}
    assert len(server.requests) == 1


def test_a_mirror_is_asked_instead(make_spec: MakeSpec, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(CONTENT, urls=("http://127.0.0.1:1/never",))
    monkeypatch.setenv("RESTORE_MIRROR", f"{server.url}/")
    assert zoo.pull(spec).read_bytes() == CONTENT
    assert server.requests[0][0] == "/test-model.pth"


def test_the_original_is_asked_after_a_mirror_only_when_told(make_spec: MakeSpec, server: Any, tmp_path: Path) -> None:
    spec = make_spec(CONTENT)
    with pytest.raises(DownloadError, match="the mirror has no"):
        zoo.pull(spec, mirror=tmp_path.as_uri())
    assert not server.requests
    assert zoo.pull(spec, mirror=tmp_path.as_uri(), or_original=True).read_bytes() == CONTENT


@pytest.mark.parametrize("as_address", [Path.as_uri, str])
def test_a_folder_as_mirror_needs_no_network(
    make_spec: MakeSpec, server: Any, tmp_path: Path, as_address: Callable[[Path], str]
) -> None:
    folder = tmp_path / "usb stick ü"
    folder.mkdir()
    (folder / "test-model.pth").write_bytes(CONTENT)
    assert zoo.pull(make_spec(CONTENT), mirror=as_address(folder)).read_bytes() == CONTENT
    assert not server.requests
    (folder / "other.pth").write_bytes(b"wrong")
    with pytest.raises(WeightsError, match="set aside"):
        zoo.pull(make_spec(CONTENT, "other"), mirror=as_address(folder))


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1/x", "/no/such/folder", "gopher:x", "file://other-machine/share"])
def test_other_mirrors_are_refused(make_spec: MakeSpec, mirror: str) -> None:
    with pytest.raises((OptionError, DownloadError)):
        zoo.pull(make_spec(CONTENT), mirror=mirror)


def test_a_file_without_a_known_hash_is_never_fetched(make_spec: MakeSpec, server: Any) -> None:
    with pytest.raises(WeightsError, match="restore models import"):
        zoo.pull(make_spec(CONTENT, sha256=None))
    assert not server.requests


def test_a_non_commercial_licence_is_accepted_once(make_spec: MakeSpec, server: Any) -> None:
    terms = Licence(id="NC", summary="Research only.", url="https://example.org/nc", non_commercial=True)
    spec = make_spec(CONTENT, licence=terms)
    with pytest.raises(LicenceError, match=r"Research only.*https://example.org/nc.*--accept-licence"):
        zoo.pull(spec)
    assert not server.requests
    path = zoo.pull(spec, accept_licence=True)
    path.unlink()
    assert zoo.pull(spec).is_file()
    changed = make_spec(CONTENT, licence=Licence(id="NC-2", summary="More.", url="x", non_commercial=True))
    with pytest.raises(LicenceError):
        zoo.pull(changed)


def test_the_companion_comes_along(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    from restore.zoo.table import MODELS

    monkeypatch.setitem(MODELS, "second", make_spec(b"two", "second", kind="companion"))
    first = make_spec(b"one", "first", blend_with="second")
    zoo.pull(first, with_companion=False)
    assert not (cache / "models" / "second.pth").exists()
    zoo.pull(first)
    assert (cache / "models" / "second.pth").read_bytes() == b"two"


def test_the_cache_of_one_machine_is_the_mirror_of_another(
    make_spec: MakeSpec, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(CONTENT)
    zoo.pull(spec)
    monkeypatch.setenv("RESTORE_CACHE", str(tmp_path / "archive"))
    path = zoo.pull(spec, mirror=str(cache / "models"))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == spec.sha256
