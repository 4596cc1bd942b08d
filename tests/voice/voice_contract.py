"""The contract every sound stage keeps, as a suite: subclass `AudioStageContract`, name the stage, give it options.

class TestDehum(AudioStageContract):
    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        return SOUND.build("dehum")
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch

from restore.frames import AudioChunk, AudioFormat
from restore.pipeline.audio_contract import AudioStage, State
from restore.pipeline.contract import Device
from restore.pipeline.sound_chain import SoundChain, Stretch

CPU = Device(torch.device("cpu"), "fp32")
FORMATS = {
    "mono": AudioFormat(8000, "mono", 1, "s16"),
    "stereo": AudioFormat(16000, "stereo", 2, "s16"),
    "7.1": AudioFormat(8000, "7.1", 8, "s24"),
    "mono48": AudioFormat(48000, "mono", 1, "flt"),
}


def talk(format: AudioFormat, length: int, seed: int = 0) -> torch.Tensor:
    """(channels, length): something like speech (syllables of a gliding voice, pauses), with hiss, hum and clicks."""
    random = np.random.default_rng(seed)
    time = np.arange(length) / format.rate
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.4 * time + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / format.rate
    highest = max(1, int(0.4 * format.rate / 150))
    voice = sum(np.sin(k * phase) / k for k in range(1, min(20, highest) + 1))
    syllables = np.clip(np.sin(2 * np.pi * 2.7 * time) + 0.3, 0, 1) * (np.sin(2 * np.pi * 0.23 * time) > -0.5)
    hum = 0.02 * np.sin(2 * np.pi * 50 * time) + 0.01 * np.sin(2 * np.pi * 150 * time)
    tracks = []
    for channel in range(format.channels):
        noise = 0.01 * random.standard_normal(length)
        clicks = np.zeros(length)
        at = random.integers(0, max(1, length), max(1, 3 * length // format.rate))
        clicks[at] = random.uniform(-0.8, 0.8, len(at))
        tracks.append((0.12 - 0.01 * channel) * np.asarray(voice) * syllables + hum + noise + clicks)
    return torch.from_numpy(np.stack(tracks).astype(np.float32))


def chunks_of(track: torch.Tensor, format: AudioFormat) -> list[torch.Tensor]:
    """A track as the pipeline hands it on: whole chunks, the last filled up with zeros."""
    missing = -track.shape[1] % format.chunk
    return list(torch.nn.functional.pad(track, (0, missing)).split(format.chunk, dim=1))


def analysed(stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> State:
    """What the stage's own analyzer finds on a track."""
    analyzer = stage.analyzer()
    if analyzer is None:
        return State()
    analyzer.open(CPU)
    analyzer.begin(format)
    for number, part in enumerate(track.split(format.chunk, dim=1) if track.shape[1] else []):
        analyzer.add(AudioChunk(part, number * format.chunk))
    return analyzer.finish()


def rendered(
    stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat, state: State | None = None, *,
    batch: int = 8, parts: Sequence[int] = (), stretches: Sequence[Stretch] = (),
) -> torch.Tensor:  # fmt: skip
    """A track through one stage: in batches of `batch` chunks, in parts that begin at chunks `parts`."""
    state = analysed(stage, track, format) if state is None else state
    stage = pickle.loads(pickle.dumps(stage))
    stage.check(format)
    chunks = chunks_of(track, format)
    chain = SoundChain([stage], [state], format, track.shape[1], CPU, [stretches], batch)

    def read(wanted: range) -> Iterable[torch.Tensor]:
        return [chunks[number] for number in wanted]

    borders = sorted({0, *parts, len(chunks)})
    done: list[torch.Tensor] = []
    with chain:
        for first, stop in zip(borders, borders[1:], strict=False):
            done += chain.render(read, range(first, stop))
    made = torch.cat(done, 1)
    assert not made[:, track.shape[1] :].any()
    return made[:, : track.shape[1]]


class AudioStageContract:
    """What docs/architecture.md promises of every sound stage."""

    formats: ClassVar[tuple[str, ...]] = ("mono", "stereo", "7.1", "mono48")
    chunks: ClassVar[float] = 2.4

    @pytest.fixture
    def stage(self) -> AudioStage[Any]:
        raise NotImplementedError

    @pytest.fixture
    def off(self) -> AudioStage[Any]:
        """The stage at strength 0."""
        raise NotImplementedError

    @pytest.fixture(params=list(FORMATS))
    def format(self, request: pytest.FixtureRequest) -> AudioFormat:
        if request.param not in self.formats:
            pytest.skip(f"the stage does not work on {request.param}")
        return FORMATS[request.param]

    @pytest.fixture
    def track(self, format: AudioFormat) -> torch.Tensor:
        return talk(format, round(self.chunks * format.chunk))

    def test_length_and_no_lag(self, stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> None:
        made = rendered(stage, track, format)
        assert made.shape == track.shape
        assert made.dtype == torch.float32
        assert torch.isfinite(made).all()
        assert lag(track[0].numpy(), made[0].numpy()) == 0

    def test_batches_and_parts(self, stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> None:
        state = analysed(stage, track, format)
        reference = rendered(stage, track, format, state, batch=1)
        assert torch.equal(rendered(stage, track, format, state, batch=4), reference)
        assert torch.equal(rendered(stage, track, format, state, batch=2, parts=(1, 2)), reference)
        torch.set_num_threads(2)
        try:
            assert torch.equal(rendered(stage, track, format, state, batch=4), reference)
        finally:
            torch.set_num_threads(1)

    def test_analysis_is_repeatable(self, stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> None:
        first, second = analysed(stage, track, format), analysed(stage, track, format)
        assert first.values == second.values
        assert first.arrays.keys() == second.arrays.keys()
        assert all(np.array_equal(first.arrays[name], second.arrays[name]) for name in first.arrays)
        assert all(array.dtype != object for array in first.arrays.values())

    def test_the_input_is_left_alone(self, stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> None:
        kept = track.clone()
        rendered(stage, track, format)
        assert torch.equal(track, kept)

    def test_strength_nought(self, off: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> None:
        assert off.idle
        assert torch.equal(rendered(off, track, format), track)

    def test_weak_is_close_to_nought(self, stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> None:
        """Strength leads smoothly to the input: a thousandth changes next to nothing."""
        weak = stage.edited({"strength": 0.001})
        assert (rendered(weak, track, format) - track).abs().max() < 0.02

    def test_silence_stays_silence(self, stage: AudioStage[Any], format: AudioFormat) -> None:
        silence = torch.zeros(format.channels, round(1.2 * format.chunk))
        assert not rendered(stage, silence, format).any()

    @pytest.mark.parametrize("length", [1, 80, 3000])
    def test_very_short(self, stage: AudioStage[Any], format: AudioFormat, length: int) -> None:
        made = rendered(stage, talk(format, length), format)
        assert made.shape[1] == length
        assert torch.isfinite(made).all()

    def test_too_loud(self, stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> None:
        """A float file may pass full scale; nothing breaks."""
        assert torch.isfinite(rendered(stage, track * 20, format)).all()

    def test_a_stretch_of_other_options(self, stage: AudioStage[Any], track: torch.Tensor, format: AudioFormat) -> None:
        """Switched off between two times: the input there, the stage elsewhere, whatever the batches."""
        state = analysed(stage, track, format)
        size = format.chunk
        stretch = Stretch(size // 2, size + size // 3, stage.edited({"strength": 0}))
        made = rendered(stage, track, format, state, stretches=[stretch], batch=4)
        whole = rendered(stage, track, format, state)
        assert torch.equal(made, rendered(stage, track, format, state, stretches=[stretch], batch=1, parts=(1,)))
        fade = format.rate // 50
        inside = slice(stretch.start + fade, stretch.stop - fade)
        assert torch.equal(made[:, inside], track[:, inside])
        assert torch.equal(made[:, : stretch.start - fade], whole[:, : stretch.start - fade])
        assert torch.equal(made[:, stretch.stop + fade :], whole[:, stretch.stop + fade :])

    def test_declarations(self, stage: AudioStage[Any], format: AudioFormat) -> None:
        window = stage.window(format)
        assert window.before >= 0 <= window.after
        again = pickle.loads(pickle.dumps(stage))
        assert again.options == stage.options
        assert stage.fixed <= type(stage.options).model_fields.keys()
        assert all(isinstance(name, str) and isinstance(digest, str) for name, digest in stage.weights().items())
        with stage:
            stage.open(CPU, format, analysed(stage, talk(format, format.chunk), format))
        stage.close()  # twice does no harm


def lag(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> int:
    """By how many samples the second comes later than the first: the peak of their cross-correlation."""
    size = 1 << (len(first) + len(second) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(second, size) * np.conj(np.fft.rfft(first, size)), size)
    best = int(np.argmax(product))
    return best - size if best > size // 2 else best
