"""A job that repairs sound and leaves pictures alone: sound files, and films whose pictures are copied."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from restore import __version__
from restore.errors import CancelledError, FormatError, OptionError
from restore.media.codecs import CONTAINERS, container_of
from restore.media.open import identity
from restore.media.probe import StreamInfo
from restore.media.remux import RemuxPlan, remux, verify_track
from restore.media.sound import SoundInfo, probe_sound
from restore.media.sound_codecs import SOUND_CONTAINERS, sound_container
from restore.media.streams import check_streams, fitting_covers
from restore.pipeline.contract import Device
from restore.pipeline.job import Job, default_folder, disk_errors
from restore.pipeline.label import consents, label
from restore.pipeline.plan import Edits
from restore.pipeline.progress import Meter, OnProgress
from restore.pipeline.runner import JobResult
from restore.pipeline.segments import digest
from restore.pipeline.setup import Request, check_existing, check_output, need_space, sound_request
from restore.pipeline.sound_job import SoundJob, SoundRequest
from restore.times import parse_time

_MANY_TRACKS = frozenset({"matroska", "webm", "mp4", "mov", "ipod"})
"""Containers of more than one sound track."""


@dataclass(frozen=True)
class SoundSetup:
    """A request that can be carried out."""

    request: Request
    info: SoundInfo
    identity: str
    sound: SoundRequest
    container: str
    copied: tuple[StreamInfo, ...]
    """Streams of the source that the output holds, the repaired ones too."""
    folder: Path

    @property
    def times(self) -> tuple[Fraction, Fraction] | None:
        """The part that was asked for, in seconds of the source's clock."""
        request, rate = self.request, self.info.frame_rate
        if request.start is None and request.end is None:
            return None
        first = parse_time(request.start or 0, rate)
        last = Fraction(10**9) if request.end is None else parse_time(request.end, rate)
        return self.sound.zero + first, self.sound.zero + last

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should hear before it begins."""
        return tuple(settings.note for settings in self.sound.settings if settings.note)


def prepare_sound(request: Request, choose: Callable[[int, bool], Device]) -> SoundSetup:
    """Probe, check every step, decide the encoding. Raises the RestoreError that says what cannot be done."""
    info = probe_sound(Path(request.source))
    check_output(request)
    file = sound_container(request.output)
    container = file or _film_container(request.output)
    if request.end is not None or request.start is not None:
        if file is None and info.has_picture:
            raise OptionError(
                "--start and --end cannot cut a film whose pictures are copied; name a sound file (.wav) to try a part"
            )
        first = parse_time(request.start or 0, info.frame_rate)
        if request.end is not None and parse_time(request.end, info.frame_rate) <= first:
            raise OptionError(f"--end {request.end} is not after --start {request.start or 0}")
    sound = sound_request(request, info, info.zero, info.frame_rate, container, choose(16, True))
    mended = [track.info.index for track in sound.tracks]
    if file is not None:
        copied = [track.info for track in sound.tracks]
        if len(copied) > 1 and container not in _MANY_TRACKS:
            raise OptionError(
                f"{request.source}: has {len(copied)} sound tracks, {request.output.suffix} holds one: add --tracks 1"
            )
        copied += fitting_covers(info, container) if not info.has_picture else []
    else:
        copied = list(check_streams(info, container, request.options, repaired=mended))
    folder = request.work_dir or default_folder(request.output)
    setup = SoundSetup(
        request, info, identity(request.source, request.input), sound, container, tuple(copied), folder
    )  # fmt: skip
    check_existing(request, Job(folder))
    return setup


def _film_container(output: Path) -> str:
    try:
        return container_of(output)
    except FormatError:
        known = ", ".join([*SOUND_CONTAINERS, *CONTAINERS])
        raise FormatError(f"{output.name}: cannot tell a container from the name; use one of {known}") from None


@dataclass
class SoundRunner:
    """One run of one job."""

    setup: SoundSetup
    on_progress: OnProgress | None = None
    cancelled: Callable[[], bool] = field(default=lambda: False)

    def check(self) -> None:
        """Raise CancelledError once the caller wants to stop."""
        if self.cancelled():
            raise CancelledError(f"stopped; the same command goes on from here (job folder {self.setup.folder})")

    def run(self) -> JobResult:
        """Do whatever is left to do. Raises RestoreError; the job folder keeps all that is finished."""
        with disk_errors(self.setup.folder), Job(self.setup.folder) as job:
            return self._run(job)

    def _run(self, job: Job) -> JobResult:
        started = time.monotonic()
        setup, request = self.setup, self.setup.request
        job.adopt(setup.identity, request.overwrite)
        check_existing(request, job)
        edits = Edits.load(job.plan.edits_path)
        edits.check_stages(stage.name for stage in request.sound)
        _check_space(setup)
        job.update_manifest(
            restore=__version__,
            source={"path": str(Path(request.source).absolute()), "identity": setup.identity},
            output=str(request.output.absolute()),
            recipe=request.recipe,
            consent=consents(request.sound),
            pictures="copied",
            device={"type": setup.sound.device.torch_device.type, "precision": setup.sound.device.precision},
        )
        sound = SoundJob(setup.sound, job, edits, self.on_progress, self.check, setup.times)
        sound.run()
        lengths = sound.lengths()
        if not any(lengths):
            raise OptionError(f"no sound lies between --start {request.start or 0} and --end {request.end}")
        key = digest({"sound": sound.key(), "streams": [s.index for s in setup.copied], "label": self._label()})
        made = job.manifest.get("finished", {})
        unchanged = made.get("key") == key and job.owns_output(request.output)
        if not unchanged:
            self._write(job, sound, key)
        sound.tidy(request.options.discard_segments)
        seconds = [n / work.track.format.rate for n, work in zip(lengths, sound.works, strict=True)]
        job.update_manifest(damaged=[found.as_json() for found in sound.holes])
        notes = (*setup.notes, *sound.notes)
        return JobResult(
            request.output, setup.folder, round(sum(seconds)), round(sound.rendered_seconds),
            time.monotonic() - started, sound.holes, notes, unchanged, unit="s of sound",
        )  # fmt: skip

    def _label(self) -> dict[str, str]:
        return label([stage for stage in self.setup.request.sound if not stage.idle], self.setup.info.metadata)

    def _write(self, job: Job, sound: SoundJob, key: str) -> None:
        """Write the output under another name, verify it, and give it its own."""
        setup, output = self.setup, self.setup.request.output
        part = output.with_name(output.name + ".part")
        feeds, times = sound.feeds(), setup.times
        shift = Fraction(0)
        if sound_container(output) is not None:
            shift = min(feed.start for feed in feeds)  # a sound file begins with its sound
        meter = Meter("join", None, self.on_progress, unit="packets")
        plan = RemuxPlan(
            part, setup.container, Path(setup.info.path), setup.copied, feeds, setup.info.metadata, self._label(),
            shift, times,
        )  # fmt: skip

        def on_packet() -> None:
            meter.add()
            self.check()

        try:
            remux(plan, on_packet)
            numbers = {s.index: n for n, s in enumerate((s for s in setup.copied if s.kind == "audio"), 1)}
            for feed, length in zip(feeds, sound.lengths(), strict=True):
                verify_track(part, numbers[feed.stream], feed, length)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            made: dict[str, Any] = {"key": key, "output": str(output.absolute()), **job.file_facts(part)}
            made["sound"] = sound.tracks(numbers)
            job.update_manifest(joining=made)  # if it stops right after the renaming, the output is known as its own
            os.replace(part, output)
            job.update_manifest(finished=made, joining=None)
        finally:
            part.unlink(missing_ok=True)
        meter.finish()


def _check_space(setup: SoundSetup) -> None:
    """Refuse to start what the disk cannot hold: 32-bit samples for every leg that is kept, and the output."""
    seconds = float(setup.info.duration or 0)
    legs = 1 + sum(a is not None and a.sees == "input" for a in (stage.analyzer() for stage in setup.sound.stages[1:]))
    each = sum(4 * track.format.rate * track.format.channels * seconds for track in setup.sound.tracks)
    source = Path(setup.info.path).stat().st_size
    need_space([(setup.folder, legs * each), (setup.request.output.parent, source)])
