"""Analyzers that hear a track in threads of their own."""

from __future__ import annotations

import pytest
import torch

from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioAnalyzer, State
from restore.pipeline.listening import Listeners


class Places(AudioAnalyzer):
    """Notes where chunks begin; stumbles over one of them."""

    def __init__(self, bad: int | None = None) -> None:
        self.bad, self.heard = bad, list[int]()

    def begin(self, format: AudioFormat) -> None:
        """Nothing to do."""

    def add(self, chunk: AudioChunk) -> None:
        if chunk.start == self.bad:
            raise ValueError("not this one")
        self.heard.append(chunk.start)

    def finish(self) -> State:
        return State({"heard": len(self.heard)})


def _hear(*analyzers: AudioAnalyzer) -> list[State]:
    with Listeners(analyzers) as listeners:
        for start in range(100):
            listeners.add(AudioChunk(torch.zeros(1, 4), start))
        return listeners.finish()


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_all_is_heard_in_order() -> None:
    analyzers = [Places(), Places()]
    assert [state.values["heard"] for state in _hear(*analyzers)] == [100, 100]
    assert [analyzer.heard for analyzer in analyzers] == [list(range(100))] * 2


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("bad", [3, 99])
def test_what_goes_wrong_is_told(bad: int) -> None:
    with pytest.raises(ValueError, match="not this one"):
        _hear(Places(bad))


def test_threads_of_others_are_left_alone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        _hear(Places())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
