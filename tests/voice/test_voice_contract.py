"""Every sound stage against the contract."""

from __future__ import annotations

from typing import Any

import pytest
from voice_contract import AudioStageContract

from restore.pipeline.audio_contract import AudioStage
from restore.voice import SOUND

COVERED = {"dehiss", "loudness"}


def test_every_sound_stage_is_covered() -> None:
    assert set(SOUND.names()) == COVERED


class TestLoudness(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("loudness", {"target": -12})

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("loudness", {"strength": 0})


class TestDenoise(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("dehiss")

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        return SOUND.build("dehiss", {"strength": 0})
