"""Every sound stage against the contract."""

from __future__ import annotations

from typing import Any

import pytest
from voice_contract import AudioStageContract

from restore.pipeline.audio_contract import AudioStage
from restore.voice import SOUND

COVERED = {"declip", "declick", "dehum", "dewow", "dehiss", "dereverb", "repair-voice", "bandwidth", "loudness"}
CLAIM = {"test_material": "a voice made of sines"}


def test_every_sound_stage_is_covered() -> None:
    assert set(SOUND.names()) == COVERED


class TestLoudness(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("loudness", {"target": -12})

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("loudness", {"strength": 0})


class TestDehiss(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("dehiss")

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("dehiss", {"strength": 0})


class TestDeclip(AudioStageContract):
    formats = ("mono", "stereo", "7.1")  # at 48 kHz, where all is cut, one test takes a minute

    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("declip", {"ceiling": -9})

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("declip", {"ceiling": -9, "strength": 0})


class TestDeclick(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("declick")

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("declick", {"strength": 0})


class TestDehum(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("dehum")

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("dehum", {"strength": 0})


class TestDewow(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("dewow")

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("dewow", {"strength": 0})


class TestDereverb(AudioStageContract):
    formats = ("mono", "7.1")  # learning a room is slow

    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("dereverb")

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("dereverb", {"strength": 0})


class TestBandwidth(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("bandwidth", {"edge": 2000})

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("bandwidth", {"strength": 0})


class TestRepairVoice(AudioStageContract):
    formats = ("mono", "stereo", "7.1")  # at 48 kHz it takes minutes

    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("repair-voice", CLAIM)

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("repair-voice", {**CLAIM, "strength": 0})
