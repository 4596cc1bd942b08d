"""`restore voice` on the line: switches, strengths, short names, and what cannot be."""

from __future__ import annotations

from typing import Any

import click
import pytest

from restore.cli.voice import voice, voice_recipe
from restore.errors import OptionError
from restore.voice import OFF, SOUND


def recipe(*words: str) -> dict[str, Any]:
    context = voice.make_context("voice", ["in.wav", "out.wav", *words])
    values = {name: value for name, value in context.params.items() if name not in ("source", "output")}
    return dict(voice_recipe(values).stages)


def test_all_but_those_that_are_off() -> None:
    assert list(recipe()) == [name for name in SOUND.names() if name not in OFF]


def test_switches_and_strengths() -> None:
    stages = recipe("--no-declick", "--denoise-strength", "0.5", "--loudness", "--atten-limit", "12")
    assert "declick" not in stages
    assert "loudness" in stages
    assert (stages["dehiss"].strength, stages["dehiss"].atten_limit) == (0.5, 12)


def test_an_option_switches_its_stage_on() -> None:
    assert recipe("--loudness-target", "-16")["loudness"].target == -16
    assert recipe("--reference", "early.wav")["repair-voice"].reference == "early.wav"


def test_what_cannot_be() -> None:
    with pytest.raises(OptionError, match="--no-denoise leaves the stage out"):
        recipe("--no-denoise", "--atten-limit", "12")
    with pytest.raises(OptionError, match="every stage is switched off"):
        recipe(*(f"--no-{'denoise' if name == 'dehiss' else name}" for name in SOUND.names()))
    with pytest.raises(click.BadParameter):
        recipe("--dehum-strength", "2")
