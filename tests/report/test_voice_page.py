"""`restore voice-versions`, from the line to the page in a real browser, and the recipe that is picked."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import requests
from sounds import hear, write_wav

from restore.cli.main import main

RATE = 16000
PLAIN = ["--no-declip", "--no-declick", "--no-dehum", "--no-denoise"]
SAID = ["--test-material", "made of sines by this test", "--quiet"]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a rough voice."""
    folder = tmp_path_factory.mktemp("talk")
    random = np.random.default_rng(2)
    time = np.arange(3 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 15 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    sound = sum(np.sin(number * phase + 0.6 * number**2) / number for number in range(1, 16))
    rough = 0.1 * sound * (np.sin(2 * np.pi * 1.3 * time) > -0.7) + 0.02 * random.standard_normal(len(time))
    return write_wav(folder / "talk.wav", rough[None], RATE)


@pytest.fixture(scope="module")
def swept(talk: Path) -> Path:
    """The folder of its versions."""
    line = ["voice-versions", str(talk), "--strengths", "0.3,0.9", "--end", "2", *PLAIN, *SAID]
    assert main(line) == 0
    return talk.with_name("talk.wav.restore") / "voice-versions"


def test_numbered_files(talk: Path, swept: Path) -> None:
    before, weak, strong = (hear(swept / f"00{number}.wav")[1] for number in range(3))
    assert before.shape == weak.shape == strong.shape == (1, 2 * RATE)
    assert np.array_equal(before, hear(talk)[1][:, : 2 * RATE])
    assert 0 < np.abs(weak - before).mean() < np.abs(strong - before).mean()
    kept = json.loads((swept / "versions.json").read_text())
    assert [(one["number"], one["label"]) for one in kept["versions"]] == [(1, "strength 0.3"), (2, "strength 0.9")]


def test_a_page_to_listen(swept: Path, browser: Any) -> None:
    browser.get((swept / "001-002.html").as_uri())
    rows = browser.find_elements("css selector", ".take")
    assert [row.find_elements("css selector", "td")[0].text for row in rows] == ["", "1", "2"]
    seconds = browser.execute_async_script("""
        const done = arguments[0], players = [...document.querySelectorAll("audio")];
        Promise.all(players.map((player) => new Promise((ready) => {
          player.onloadedmetadata = () => ready(player.duration); player.onerror = () => ready(-1); player.load();
          player.preload = "metadata";
        }))).then(done);""")
    assert seconds == pytest.approx([2.0] * 3, abs=0.05)
    assert [address for address in requests(browser) if not address.startswith("file:")] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_choice_becomes_a_recipe(
    talk: Path, swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["voice-versions", "pick", "2", str(talk)]) == 0
    recipe = swept / "version-2.toml"
    assert str(recipe) in capsys.readouterr().out
    stages = tomllib.loads(recipe.read_text())["stage"]
    assert [(stage["name"], stage["strength"]) for stage in stages] == [("repair-voice", 0.9)]
    output = tmp_path / "whole.wav"
    assert main(["run", str(talk), str(output), "--recipe", str(recipe), "--quiet", "--no-report"]) == 0
    assert np.array_equal(hear(output)[1][:, : 2 * RATE], hear(swept / "002.wav")[1])
    assert main(["voice-versions", "list", str(talk)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("(picked)")


def test_numbers_go_on_and_stay(talk: Path, swept: Path) -> None:
    line = ["voice-versions", str(talk), "--strengths", "0.9", "--smoothness", "0.2,0.5", "--end", "1", *PLAIN, *SAID]
    assert main(line) == 0
    kept = json.loads((swept / "versions.json").read_text())["versions"]
    assert [one["label"] for one in kept[2:]] == ["strength 0.9, smoothness 0.2", "strength 0.9, smoothness 0.5"]
    assert main(line) == 0
    assert len(json.loads((swept / "versions.json").read_text())["versions"]) == len(kept)


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        (["voice-versions", "{talk}", "--strengths", "0.3,much"], 2, "numbers from 0 to 1"),
        (["voice-versions", "{talk}", "--strengths", "0.3,0.6"], 2, "consent"),
        (["voice-versions", "pick", "99", "{talk}"], 2, "there is no version 99"),
        (["voice-versions", "pick", "1", "nobody.wav"], 1, "there are no versions yet"),
        (["voice-versions", "nobody.wav", "--strengths", "0.5", "--own-work", "it is my own voice"], 1, "nobody.wav"),
    ],
)
def test_what_cannot_be(
    talk: Path, swept: Path, capfd: pytest.CaptureFixture[str], line: list[str], status: int, said: str
) -> None:
    assert main([word.format(talk=talk) for word in line]) == status
    told = capfd.readouterr().err
    assert said in told
    assert told.count("\n") == 1
