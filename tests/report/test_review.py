"""A review, in a real browser, and what it makes of a job."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from films import FilmSpec, write_film

import restore
from restore import pages
from restore.cli.main import main
from restore.errors import PlanError
from restore.frames import Planes
from restore.pipeline.plan import Edits
from restore.recipe import Recipe
from restore.report.review import Choice, Review, with_choice
from restore.report.review_server import ReviewServer


def reel(path: Path) -> Path:
    """Three shots of flickering texture, long enough for segments of their own."""

    def planes(number: int) -> Planes:
        texture = np.random.default_rng(number // 50).integers(0, 40, (48, 64)) + (50, 150, 60)[number // 50]
        grey = np.full((24, 32), 128, np.uint8)
        flicker = 1 + 0.03 * np.sin(number * 2.1)
        return np.clip(texture * flicker, 16, 235).astype(np.uint8), grey, grey

    return write_film(path, FilmSpec(codec="ffv1", frames=150, pictures=planes))


@pytest.fixture
def job(tmp_path: Path) -> tuple[Path, Callable[[], Any]]:
    source = reel(tmp_path / "reel.mkv")

    def run() -> Any:
        return restore.run(source, tmp_path / "out.mkv", Recipe.of("deflicker"))

    return run().folder, run


@pytest.fixture
def server(job: tuple[Path, Callable[[], Any]]) -> Iterator[ReviewServer]:
    with ReviewServer(pages.review(job[0])) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


def test_what_is_rejected_is_rendered_anew_and_nothing_else(
    job: tuple[Path, Callable[[], Any]], server: ReviewServer, browser: Any
) -> None:
    folder, run = job
    (folder / "edits.json").write_text(
        '{"changes": [{"from": 0, "to": 1, "stage": "deflicker", "set": {"strength": 0.5}, "note": "mine"}]}'
    )
    assert run().rendered == 50
    browser.get(server.address)
    shots = browser.find_elements("css selector", ".review")
    assert len(shots) == 3
    assert len(shots[1].find_elements("css selector", "img")) == 2
    shots[1].find_element("css selector", "[data-verdict=reject]").click()
    shots[2].find_element("css selector", "[data-verdict=accept]").click()
    text = shots[2].find_element("css selector", "textarea")
    text.send_keys("the lamp <flickers>, as it should")
    shots[0].find_element("css selector", "h2").click()
    deadline = time.monotonic() + 20
    while len(Edits.load(folder / "edits.json").reviews) < 2 or "lamp" not in (folder / "edits.json").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    edits = Edits.load(folder / "edits.json")
    assert [(change.note, change.set) for change in edits.changes] == [
        ("mine", {"strength": 0.5}), ("review", {"strength": 0.0}),
    ]  # fmt: skip
    assert {(review.start, review.verdict) for review in edits.reviews} == {("50f", "reject"), ("100f", "accept")}
    again = run()
    assert again.rendered == 50
    assert run().unchanged
    browser.get(server.address)
    assert browser.find_elements("css selector", ".review textarea")[2].get_attribute("value").startswith("the lamp <f")


def post(address: str, body: bytes, **headers: str) -> int:
    try:
        with urlopen(Request(address, body, headers)) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_others_cannot_choose(server: ReviewServer) -> None:
    choice = json.dumps({"start": 0, "end": 50, "verdict": "reject"}).encode()
    base = f"http://127.0.0.1:{server.server_port}"
    assert post(f"{base}/choice", choice) == 404
    assert post(f"{base}/{server.secret}/choice", choice, Host="evil.example") == 404
    assert not server.review.edits_path.exists()
    assert post(f"{base}/{server.secret}/choice", choice) == 200
    for bad in (b"", b"nonsense", b"[]", b'{"start": 0, "end": 7}', b'{"start": 0, "end": 50, "extra": 1}',
                b'{"start": 0, "end": 50, "strengths": {"deflicker": 7}}',
                b'{"start": 0, "end": 50, "strengths": {"upscale": 0.5}}'):  # fmt: skip
        assert post(f"{base}/{server.secret}/choice", bad) == 400


def test_a_later_choice_replaces_an_earlier_one() -> None:
    strengths = {"dedust": 1.0, "denoise": 0.5}
    one = with_choice(Edits(), Choice(start=0, end=5, verdict="reject"), strengths)
    assert [change.set["strength"] for change in one.changes] == [0.0, 0.0]
    two = with_choice(one, Choice(start=0, end=5, strengths={"dedust": 0.4, "denoise": 0.5}), strengths)
    assert [(change.stage, change.set["strength"]) for change in two.changes] == [("dedust", 0.4)]
    assert two.reviews == ()
    three = with_choice(two, Choice(start=0, end=5, strengths={"dedust": 1.0}), strengths)
    assert three == Edits()


def test_what_cannot_be_reviewed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", str(tmp_path / "none"), "--no-browser"]) == 1
    assert "job.json" in capsys.readouterr().err
    (tmp_path / "job.json").write_text('{"source": {"path": "a"}, "output": "b", "recipe": {"input": {}, "stage": []}}')
    with pytest.raises(PlanError, match="run the job first"):
        Review(tmp_path, {})
