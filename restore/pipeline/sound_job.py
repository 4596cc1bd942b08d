"""Repairing the sound tracks of one source: read through, analyse, render. Can be stopped anywhere, and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from restore.frames import AudioChunk
from restore.media.sound import Block, SoundInfo, SoundReader, SoundTrack
from restore.media.sound_codecs import SoundSettings
from restore.media.sound_feed import SoundFeed
from restore.pipeline.analyse import stage_key
from restore.pipeline.audio_contract import AudioAnalyzer, AudioStage, State
from restore.pipeline.contract import Device
from restore.pipeline.index import DamagedRange
from restore.pipeline.job import Job
from restore.pipeline.listening import Listeners
from restore.pipeline.plan import Edits
from restore.pipeline.progress import Meter, OnProgress
from restore.pipeline.segments import digest
from restore.pipeline.sound_chain import Stretch
from restore.pipeline.sound_legs import SEGMENT, Chunked, DecodedTrack, Leg, chunks_of, facts_of
from restore.pipeline.sound_plan import SoundPlan, stretches_of


@dataclass(frozen=True)
class SoundRequest:
    """Which tracks of which file are repaired, how, and how they are stored."""

    info: SoundInfo
    identity: str
    """Changes when the file does."""
    stages: tuple[AudioStage[Any], ...]
    tracks: tuple[SoundTrack, ...]
    settings: tuple[SoundSettings, ...]
    """One a track."""
    device: Device
    zero: Fraction
    """Where the times of edits begin, in seconds of the file's clock."""
    frame_rate: Fraction

    def feed_start(self, track: SoundTrack) -> Fraction:
        """When the track's first sample is heard in the output, before any shift."""
        return track.start if self.info.has_picture else self.zero


@dataclass
class TrackWork:
    """One track on its way."""

    track: SoundTrack
    length: int
    """Samples."""
    final: Chunked
    """The repaired track."""
    states: dict[str, State] = field(default_factory=dict)
    original: Chunked | None = None
    notes: tuple[str, ...] = ()
    holes: tuple[DamagedRange, ...] = ()
    """Where the file has nothing, in seconds of its clock."""

    def span(self, times: tuple[Fraction, Fraction] | None, start: Fraction) -> range:
        """Samples that lie between two times; all of them if None. `start`: when the first is heard."""
        if times is None:
            return range(self.length)
        first, stop = (min(max(0, round((time - start) * self.track.format.rate)), self.length) for time in times)
        return range(first, stop)

    def chunks(self, samples: range) -> range:
        """The chunks that hold these samples."""
        size = self.track.format.chunk
        return range(samples.start // size, -(-samples.stop // size))


class SoundJob:
    """The sound of one job. `run` does whatever is left to do; then `feeds` gives the tracks to the muxer."""

    def __init__(
        self, request: SoundRequest, job: Job, edits: Edits, on_progress: OnProgress | None,
        check: Callable[[], None], times: tuple[Fraction, Fraction] | None = None,
    ) -> None:  # fmt: skip
        self.request, self.job, self.edits = request, job, edits
        self.on_progress, self.check, self.times = on_progress, check, times
        self.path = Path(request.info.path)
        self.folder = job.folder / "sound"
        self.works: list[TrackWork] = []
        self.rendered_seconds = 0.0
        """Seconds of sound rendered by this run."""

    def run(self) -> None:
        """Analyse and render every track. Raises RestoreError; what is finished stays."""
        self.folder.mkdir(exist_ok=True)
        self.works = [self._prepare(track) for track in self.request.tracks]
        wanted = [work.chunks(self._span(work)) for work in self.works]
        seconds = [work.track.format.chunk / work.track.format.rate for work in self.works]
        total = sum(len(chunks) * each for chunks, each in zip(wanted, seconds, strict=True))
        meter = Meter("render", round(total), self.on_progress, unit="s of sound")
        for work, chunks, each in zip(self.works, wanted, seconds, strict=True):
            before = meter.done
            work.final.ensure(chunks, self._ticking(meter, each), self.check)
            self.rendered_seconds += meter.done - before
            meter.done = before + each * len(chunks)  # what was there already counts as done
        meter.finish()

    def _ticking(self, meter: Meter, seconds: float) -> Callable[[], None]:
        def tick() -> None:
            meter.add(seconds)
            self.check()

        return tick

    def _span(self, work: TrackWork) -> range:
        return work.span(self.times, self.request.feed_start(work.track))

    def key(self) -> str:
        """What the sound of the output depends on."""
        tracks = [
            [work.track.info.index, work.final.keys(work.chunks(self._span(work))), settings.describe()]
            for work, settings in zip(self.works, self.request.settings, strict=True)
        ]
        return digest({"tracks": tracks, "times": [str(time) for time in self.times or ()]})

    def feeds(self) -> list[SoundFeed]:
        """The repaired tracks, for the muxer."""
        feeds = []
        for work, settings in zip(self.works, self.request.settings, strict=True):
            samples = self._span(work)
            start = self.request.feed_start(work.track) + Fraction(samples.start, work.track.format.rate)
            feeds.append(
                SoundFeed(
                    self.path, work.track.info.index, settings, work.track.format.rate, start,
                    _reading(work.final, samples, work.chunks(samples)),
                )
            )  # fmt: skip
        return feeds

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should hear of the tracks."""
        return tuple(note for work in self.works for note in work.notes)

    @property
    def holes(self) -> tuple[DamagedRange, ...]:
        """Where the tracks have nothing in the file."""
        return tuple(hole for work in self.works for hole in work.holes)

    def tracks(self, numbers: Mapping[int, int]) -> list[dict[str, int]]:
        """For the job's record: which track of the output repairs which, and from which sample on.

        `numbers`: the output's tracks, counted from 1, by streams of the source.
        """
        return [
            {"source": work.track.number, "output": numbers[work.track.info.index], "first": self._span(work).start}
            for work in self.works
        ]

    def lengths(self) -> list[int]:
        """Samples of each feed."""
        return [len(self._span(work)) for work in self.works]

    def tidy(self, discard: bool) -> None:
        """Delete segments that no leg of these tracks is made of; all of them if asked to."""
        keep: set[Path] = set()
        for work in self.works if not discard else ():
            legs: list[Chunked] = [work.final]
            while legs:
                leg = legs.pop()
                if isinstance(leg, Leg):
                    keep.update(leg.path(segment) for segment in leg.segments(range(leg.count)))
                    legs.append(leg.before)
        for path in self.folder.iterdir():
            if path not in keep:
                path.unlink()

    def _prepare(self, track: SoundTrack) -> TrackWork:
        """Read the track through, analyse it stage by stage, and lay out its legs."""
        plan = SoundPlan(self.job.plan.folder, track.number)
        stages = self.request.stages
        stretches = stretches_of(
            self.edits, stages, track.format.rate, self.request.frame_rate,
            self.request.feed_start(track) - self.request.zero,
        )  # fmt: skip
        keys = [stage_key(place, stage.name) for place, stage in enumerate(stages)]
        analyzers = [stage.analyzer() for stage in stages]
        sees = ["" if a is None else "source" if place == 0 else a.sees for place, a in enumerate(analyzers)]
        marks = [
            self._mark(track, stages[place if see == "source" else 0 : place + 1]) for place, see in enumerate(sees)
        ]
        borders = [place for place, see in enumerate(sees) if see == "input"]
        meter = Meter("analyse", None, self.on_progress, unit="s of sound")
        facts = self._read_through(track, plan, keys, marks, analyzers, sees, meter)
        states = [State() if a is None else plan.state(keys[p], marks[p]) or State() for p, a in enumerate(analyzers)]
        length = int(facts["samples"])
        plain: Chunked = self._decoded(track, length, stages)
        edited: Chunked = plain
        source = plain
        for first, stop in zip([0, *borders], [*borders, len(stages)], strict=True):
            if first in borders:
                states[first] = self._hear(plan, keys[first], marks[first], analyzers[first], plain, meter)
            part = slice(first, stop)
            none: list[list[Stretch]] = [[] for _ in stages[part]]
            plain = Leg(plain, stages[part], states[part], none, self.request.device, self.folder)
            edited = Leg(edited, stages[part], states[part], stretches[part], self.request.device, self.folder)
        meter.finish()
        return TrackWork(
            track,
            length,
            edited,
            dict(zip(keys, states, strict=True)),
            source,
            _notes(track, facts),
            _holes(track, facts),
        )

    def _mark(self, track: SoundTrack, heard: Sequence[AudioStage[Any]]) -> str:
        """What findings depend on: the track, their stage, and the stages before it that shape what it hears."""
        stages = [facts_of(stage) for stage in heard]
        source = {"source": self.request.identity, "stream": track.info.index}
        return digest({**source, "stages": stages, "torch": torch.__version__})

    def _decoded(self, track: SoundTrack, length: int, stages: Sequence[AudioStage[Any]]) -> DecodedTrack:
        windows = [stage.window(track.format) for stage in stages]
        reach = sum(
            -(-window.before // track.format.chunk) - (-window.after // track.format.chunk) for window in windows
        )
        return DecodedTrack(self.path, track, length, self.request.identity, reach + 2)

    def _read_through(
        self, track: SoundTrack, plan: SoundPlan, keys: Sequence[str], marks: Sequence[str],
        analyzers: Sequence[AudioAnalyzer | None], sees: Sequence[str], meter: Meter,
    ) -> dict[str, Any]:  # fmt: skip
        """Decode the track once: how long it is, and what the analyzers find that hear it as it is."""
        by = digest({"source": self.request.identity, "stream": track.info.index})
        known = plan.track(by)
        listeners = {
            place: analyzer
            for place, (analyzer, see) in enumerate(zip(analyzers, sees, strict=True))
            if analyzer is not None and see == "source" and plan.state(keys[place], marks[place]) is None
        }
        if known is not None and not listeners:
            return known
        for analyzer in listeners.values():
            analyzer.open(self.request.device)
            analyzer.begin(track.format)
        reader = SoundReader(self.path, track)
        start = 0
        with Listeners(list(listeners.values())) as heard:
            for chunk in chunks_of(reader):
                heard.add(AudioChunk(chunk, start))
                start += chunk.shape[1]
                meter.add(chunk.shape[1] / track.format.rate)
                self.check()
            states = heard.finish()
        facts = {
            "codec": track.info.codec, "rate": track.format.rate, "layout": track.format.layout,
            "samples": reader.length, "bit_rate": reader.bit_rate, "holes": reader.holes,
            "not_finite": reader.not_finite, "decode_errors": reader.decode_errors,
        }  # fmt: skip
        for place, state in zip(listeners, states, strict=True):
            plan.save_state(keys[place], marks[place], state)
        plan.save_track(by, facts)
        return facts

    def _hear(
        self, plan: SoundPlan, key: str, by: str, analyzer: AudioAnalyzer | None, track: Chunked, meter: Meter
    ) -> State:
        """What an analyzer finds that hears the track behind the stages before it."""
        known = plan.state(key, by)
        if known is not None:
            return known
        assert analyzer is not None
        size, rate = track.format.chunk, track.format.rate
        whole = range(-(-track.length // size))
        analyzer.open(self.request.device)
        analyzer.begin(track.format)
        with Listeners([analyzer]) as heard:  # while the next segment is rendered, this one is heard
            for part in (whole[place : place + SEGMENT] for place in range(0, len(whole), SEGMENT)):
                track.ensure(part, self._ticking(meter, size / rate), self.check)
                for number, chunk in zip(part, track.read(part), strict=True):
                    heard.add(AudioChunk(chunk[:, : track.length - number * size], number * size))
                    self.check()
            [state] = heard.finish()
        plan.save_state(key, by, state)
        return plan.state(key, by) or State()


def _reading(track: Chunked, samples: range, chunks: range) -> Callable[[], Iterator[Block]]:
    def blocks() -> Iterator[Block]:
        size = track.format.chunk
        for number, chunk in zip(chunks, track.read(chunks), strict=True):
            first = max(samples.start - number * size, 0)
            stop = min(samples.stop - number * size, size)
            yield np.ascontiguousarray(chunk[:, first:stop].numpy())

    return blocks


def _holes(track: SoundTrack, facts: dict[str, Any]) -> tuple[DamagedRange, ...]:
    spans = [(Fraction(at, facts["rate"]), Fraction(length, facts["rate"])) for at, length in facts["holes"]]
    return tuple(DamagedRange(track.start + at, track.start + at + length, 0, "silent") for at, length in spans)


def _notes(track: SoundTrack, facts: dict[str, Any]) -> tuple[str, ...]:
    """What a person should hear of a track that did not come through whole."""
    notes = []
    if facts["decode_errors"]:
        notes.append(f"{track}: {facts['decode_errors']} packets do not decode")
    if facts["not_finite"]:
        notes.append(f"{track}: {facts['not_finite']} samples were no numbers and are silent now")
    return tuple(notes)
