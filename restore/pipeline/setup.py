"""From what a person asked for to a job that can run, or to one line why it cannot, before anything is rendered."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from restore.colorimetry import luma_weights
from restore.errors import DiskFullError, OptionError, OutputError, OutputExistsError, SourceError
from restore.frames import VideoFormat
from restore.media.codecs import EncoderSettings, encoder_settings
from restore.media.open import identity, probe
from restore.media.options import InputOptions, OutputOptions
from restore.media.picture_output import PictureOutput, is_picture_output, picture_output
from restore.media.probe import SourceInfo, StreamInfo
from restore.media.sequence_files import NumberedNames, is_sequence, list_sequence
from restore.media.sound import SoundInfo, probe_sound
from restore.media.sound_codecs import sound_settings
from restore.media.streams import check_streams
from restore.pipeline.audio_contract import AudioStage
from restore.pipeline.contract import Device, Stage, TimelineStage
from restore.pipeline.job import Job, default_folder
from restore.pipeline.sound_job import SoundRequest
from restore.times import parse_time


@dataclass(frozen=True)
class Request:
    """What a person asked for, checked only for its form."""

    source: str
    output: Path
    stages: tuple[Stage[Any], ...]
    input: InputOptions = field(default_factory=InputOptions)
    options: OutputOptions = field(default_factory=OutputOptions)
    recipe: dict[str, Any] = field(default_factory=dict)
    """The recipe as JSON, to be kept with the job."""
    start: str | None = None
    end: str | None = None
    work_dir: Path | None = None
    overwrite: bool = False
    batch: int | None = None
    sound: tuple[AudioStage[Any], ...] = ()
    """Stages of the sound, in order."""


@dataclass(frozen=True)
class Setup:
    """A request that can be carried out."""

    request: Request
    info: SourceInfo
    identity: str
    device: Device
    formats: tuple[VideoFormat, ...]
    """The source's, and what each stage gives."""
    output: EncoderSettings | PictureOutput
    copied: tuple[StreamInfo, ...]
    audio: tuple[Path, ...]
    folder: Path
    sound: SoundRequest | None = None
    """What is done to the film's sound."""
    silent: str = ""
    """Why nothing is, though the recipe has stages for it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should hear before it begins."""
        return (*(self.film.notes if self.film else ()), *([self.silent] if self.silent else []))

    @property
    def transfer(self) -> str:
        """Scale of the source's samples, asked for or by its tags."""
        asked = self.request.input.transfer
        if asked != "auto":
            return asked
        tagged = self.info.format.color.transfer
        return tagged if tagged in ("linear", "log") else "display"

    @property
    def film(self) -> EncoderSettings | None:
        """How the film is encoded; None when pictures are written."""
        return self.output if isinstance(self.output, EncoderSettings) else None


def prepare(request: Request, choose: Callable[[int, bool], Device]) -> Setup:
    """Probe, check every step, decide the encoding. `choose` picks a device from (source depth, master).

    Raises the RestoreError that says what cannot be done and what can.
    """
    info = probe(request.source, request.input)
    _check_fields(info, request)
    _check_span(request, info.format.frame_rate)
    formats = [info.format]
    for stage in request.stages[1:]:
        if isinstance(stage, TimelineStage):
            raise OptionError(f"{stage.name} must come first: it decides which frames there are")
    for stage in request.stages:
        stage.check(formats[-1])
        formats.append(stage.output_format(formats[-1]))
    check_output(request)
    folder = request.work_dir or default_folder(request.output)
    audio = tuple(Path(name) for name in ([request.input.audio] if request.input.audio else []))
    copied: tuple[StreamInfo, ...] = ()
    output: EncoderSettings | PictureOutput
    sound, silent = None, ""
    if is_picture_output(request.output):
        if request.sound and not request.stages:
            raise OptionError(f"{request.output}: pictures hold no sound; leave {request.sound[0].name} out")
        silent = "pictures hold no sound: only the picture is restored" if request.sound else ""
        output = picture_output(request.output, formats[-1], info, request.input, request.options)
    else:
        hdr = (info.mastering_display, info.content_light)
        output = encoder_settings(request.output, formats[-1], _same_threads(request.options, folder), hdr)
        sound, silent = _sound(request, info, output.container, choose)
        mended = [track.info.index for track in sound.tracks] if sound else []
        copied = check_streams(info, output.container, request.options, audio, mended)
    if sound is None:
        request = replace(request, sound=())
    _check_matrix(formats, output.format)
    device = choose(info.format.pixel.depth, request.options.master)
    setup = Setup(
        request, info, identity(request.source, request.input), device, tuple(formats), output, copied, audio, folder,
        sound, silent,
    )  # fmt: skip
    check_existing(request, Job(folder), output if isinstance(output, PictureOutput) else None)
    return setup


def _sound(
    request: Request, info: SourceInfo, container: str, choose: Callable[[int, bool], Device]
) -> tuple[SoundRequest | None, str]:
    """What is done to a film's sound, or why nothing is: a recipe for both goes through mute films as well.

    Raises SourceError where the sound is all that was to be repaired; OptionError, FormatError.
    """
    if all(stage.idle for stage in request.sound):
        return None, ""  # copied, not encoded again
    try:
        return sound_of_film(request, info, container, choose(16, True)), ""
    except SourceError as error:
        if not request.stages:
            raise
        return None, f"only the picture is restored: {error}"


def sound_of_film(request: Request, info: SourceInfo, container: str, device: Device) -> SoundRequest:
    """What is done to the sound of a film, or to the sound file that goes with its pictures.

    Raises SourceError, OptionError, FormatError.
    """
    path = request.input.audio or request.source
    if info.kind != "film" and not request.input.audio:
        raise SourceError(f"{request.source}: has no sound to repair; name a sound file with --audio")
    sound = probe_sound(Path(path))
    zero = sound.zero if request.input.audio else info.start
    return sound_request(request, sound, zero, info.format.frame_rate, container, device)


def sound_request(
    request: Request, info: SoundInfo, zero: Fraction, frame_rate: Fraction, container: str, device: Device
) -> SoundRequest:
    """Choose the tracks, check the stages, decide the encodings. Raises SourceError, OptionError, FormatError."""
    for number in request.input.tracks:
        if not 1 <= number <= len(info.tracks):
            raise OptionError(f"--tracks {number}: {info.path} has {len(info.tracks)} sound tracks, counted from 1")
    tracks = [
        track for track in info.tracks if track.number in (request.input.tracks or range(1, 1 + len(info.tracks)))
    ]
    tracks = [track for track in tracks if track.info.index not in request.options.skip_streams]
    if request.input.audio:
        tracks = tracks[:1]  # a sound file beside pictures gives its first track
    if not tracks:
        raise SourceError(f"{info.path}: no sound track is left to repair; see --tracks and --skip-stream")
    for stage in request.sound:
        for track in tracks:
            stage.check(track.format)
    return SoundRequest(
        info, identity(info.path), request.sound, tuple(tracks),
        tuple(sound_settings(track, container, request.options) for track in tracks), device, zero, frame_rate,
    )  # fmt: skip


def _same_threads(options: OutputOptions, folder: Path) -> OutputOptions:
    """A job goes on with the encoder threads it began with, also on a machine with other cores."""
    began = Job(folder).manifest.get("encoder_threads")
    if options.threads is not None or not isinstance(began, int):
        return options
    return options.model_copy(update={"threads": began})


def _check_matrix(formats: Sequence[VideoFormat], target: VideoFormat) -> None:
    untouched = len(formats) == 1 and (formats[0].pixel, formats[0].color) == (target.pixel, target.color)
    for format in (formats[0], target):
        if format.pixel.model == "yuv" and not untouched:
            luma_weights(format.color.matrix)  # raises for one that cannot be converted


def _check_fields(info: SourceInfo, request: Request) -> None:
    if not info.interlaced or request.input.progressive:
        return
    for stage in request.stages:
        if stage.makes_progressive:
            return
        if stage.needs_progressive:
            raise SourceError(
                f"{info.path}: is interlaced ({info.field_order}); {stage.name} would enlarge its combs. Use "
                f"`restore run SOURCE OUTPUT deinterlace {stage.name}`, or --progressive if its flags are wrong"
            )


def _check_span(request: Request, rate: Fraction) -> None:
    first = Fraction(0) if request.start is None else parse_time(request.start, rate)
    if request.end is not None and parse_time(request.end, rate) <= first:
        raise OptionError(f"--end {request.end} is not after --start {request.start or 0}")


def check_output(request: Request) -> None:
    """Refuse an output that would touch the source, or cannot be written. Raises OutputExistsError, OutputError."""
    output = request.output
    for path in _source_files(request):
        if _would_write(output, path):
            raise OutputExistsError(f"{path}: belongs to the source, which is never written to; name another output")
    if output.is_dir():
        raise OutputError(f"{output}: is a folder; name a file, or a pattern like {output}/frame_%06d.png")
    parent = output.parent
    if not parent.is_dir():
        raise OutputError(f"{parent}: no such folder; make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{parent}: no right to write there; check the folder's permissions")


def _source_files(request: Request) -> list[Path]:
    extra = [Path(request.input.audio)] if request.input.audio else []
    if not is_sequence(request.source):
        return [Path(request.source), *extra]
    files = list_sequence(request.source)
    return [*(files.folder / name for name in files.names), *extra]


def _would_write(output: Path, path: Path) -> bool:
    """Whether writing `output` would touch the file at `path`, be it through a link or a ``.part``."""
    name = path.name.removesuffix(".part")
    if is_picture_output(output) and is_sequence(output):
        names = NumberedNames.parse(output)
        return names.number(name) is not None and names.folder.resolve() == path.parent.resolve()
    same = output.exists() and path.exists() and output.samefile(path)
    return same or (name == output.name and output.parent.resolve() == path.parent.resolve())


def check_existing(request: Request, job: Job, pictures: PictureOutput | None = None) -> None:
    """Refuse to replace a file that is not this job's own. Raises OutputExistsError."""
    output = request.output
    existing: Path | None = output if output.exists() else None
    if pictures is not None:
        began = job.manifest.get("writing") == str(Path(pictures.pattern).absolute())
        existing = None if began else pictures.first_existing()
    if existing is not None and job.owns_output(existing):
        return
    if existing is not None and not request.overwrite:
        raise OutputExistsError(
            f"{existing}: exists already and was not made by this job; add --overwrite to replace it"
        )


def bytes_of_frame(output: EncoderSettings | PictureOutput) -> float:
    """A generous guess of what one encoded frame takes."""
    fmt = output.format
    pixels = fmt.width * fmt.height
    samples = sum(
        h * w for h, w in (fmt.pixel.plane_size(p, fmt.width, fmt.height) for p in range(fmt.pixel.plane_count))
    )
    encoder = output.encoder if isinstance(output, EncoderSettings) else "ffv1"
    if encoder == "ffv1":
        return samples * fmt.pixel.dtype.itemsize * 0.65
    return pixels * (0.6 if encoder in ("prores_ks", "dnxhd") else 0.06)


def check_space(setup: Setup, frames: int, rendered: int) -> None:
    """Refuse to start what the disk cannot hold: segments and the joined film. Raises DiskFullError."""
    each = bytes_of_frame(setup.output)
    film = frames * each
    wanted = [(setup.request.output.parent, film)]
    if setup.film is not None:
        wanted.append((setup.folder, (frames - rendered) * each))
    need_space(wanted)


def need_space(wanted: Sequence[tuple[Path, float]]) -> None:
    """Refuse what does not fit: for each folder (existing or not) the bytes it will take. Raises DiskFullError."""
    needs: dict[int, tuple[Path, float]] = {}
    for folder, size in wanted:
        place = _existing(folder)
        disk = place.stat().st_dev
        needs[disk] = (place, needs.get(disk, (place, 0.0))[1] + size)
    for place, size in needs.values():
        free = shutil.disk_usage(place).free
        if free < size:
            raise DiskFullError(
                f"{place}: about {size / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, or use "
                "--work-dir on another disk"
            )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
