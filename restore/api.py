"""The library's front door: everything the command line does, as calls."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from restore.engines.inline import InlineEngine
from restore.errors import OptionError
from restore.frames import ColorInfo, Frame, PixelFormat, Shot, VideoFormat
from restore.media.open import identity, open_source
from restore.media.open import probe as _probe
from restore.media.options import InputOptions
from restore.media.pictures import is_picture
from restore.media.probe import SourceInfo
from restore.media.sequence import is_sequence
from restore.pipeline.chain import Chain
from restore.pipeline.contract import Device
from restore.pipeline.device import choose_device
from restore.pipeline.index import FrameIndex
from restore.pipeline.job import Job, default_folder, disk_errors
from restore.pipeline.listing import list_frames
from restore.pipeline.plan import Edits
from restore.pipeline.progress import Meter, OnProgress
from restore.pipeline.runner import JobResult, Runner
from restore.pipeline.setup import Request, Setup, prepare
from restore.pipeline.sound_runner import SoundRunner, SoundSetup, prepare_sound
from restore.recipe import Recipe
from restore.stages import build_stage
from restore.voice import SOUND

if TYPE_CHECKING:
    from restore.pipeline.render import Engine

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class ListedShot:
    """A shot with its times, in seconds from the first frame."""

    number: int
    start_frame: int
    end_frame: int
    start: Fraction
    end: Fraction


def probe(source: StrPath, input: InputOptions = InputOptions()) -> SourceInfo:
    """What a film, sequence or picture holds, and what is assumed where it says nothing.

    Raises SourceNotFoundError, SourceError, OptionError.
    """
    return _probe(os.fspath(source), input)


def prepare_run(
    source: StrPath,
    output: StrPath,
    recipe: Recipe,
    *,
    start: str | float | None = None,
    end: str | float | None = None,
    work_dir: StrPath | None = None,
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
) -> Setup | SoundSetup:
    """Check everything a run needs without starting it; what ``--dry-run`` prints. Raises RestoreError."""
    stages = tuple(build_stage(name, options) for name, options in recipe.stages if name not in SOUND)
    sound = tuple(SOUND.build(name, options) for name, options in recipe.stages if name in SOUND)
    request = Request(
        os.fspath(source), Path(output), stages, recipe.input, recipe.output, recipe.as_dict(),
        None if start is None else str(start), None if end is None else str(end),
        None if work_dir is None else Path(work_dir), overwrite, batch, sound,
    )  # fmt: skip

    def choose(depth: int, master: bool) -> Device:
        return choose_device(device, precision, depth, master)

    if sound and not stages and not (is_sequence(request.source) or is_picture(request.source)):
        return prepare_sound(request, choose)
    return prepare(request, choose)


def run(
    source: StrPath,
    output: StrPath,
    recipe: Recipe,
    *,
    start: str | float | None = None,
    end: str | float | None = None,
    work_dir: StrPath | None = None,
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
    cancel: Event | Callable[[], bool] | None = None,
) -> JobResult:
    """Restore `source` into `output`, or go on where an earlier call stopped.

    Args:
        source: a film, a pattern like ``scan_%06d.dpx``, a folder of pictures, one picture, or a sound file.
        output: where to; its name decides the container.
        recipe: the stages and their options. If all of them are of sound, pictures are copied as they are.
        start, end: render only this part: seconds, a timecode, or frames as ``120f``; pixels are those of a full run.
        work_dir: the job folder; ``OUTPUT.restore`` beside the output if not given.
        overwrite: replace an existing output (this job's own is always replaced).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``, for convolutions.
        batch: frames a batch; found by measuring if not given. Pixels do not depend on it.
        engine: who renders; in this process if not given.
        on_progress: called with `Progress` a few times a second.
        cancel: an Event, or a function; the run stops soon after it is set or returns true, raising CancelledError.

    Returns what was done; see `JobResult.damaged` for parts of the source that did not decode.

    Raises RestoreError; whatever was finished is kept in the job folder.
    """
    setup = prepare_run(
        source, output, recipe, start=start, end=end, work_dir=work_dir, overwrite=overwrite, device=device,
        precision=precision, batch=batch,
    )  # fmt: skip
    return run_prepared(setup, engine=engine, on_progress=on_progress, cancel=cancel)


def run_prepared(
    setup: Setup | SoundSetup,
    *,
    engine: Engine | None = None,
    on_progress: OnProgress | None = None,
    cancel: Event | Callable[[], bool] | None = None,
) -> JobResult:
    """Carry out what `prepare_run` checked."""
    cancelled = cancel.is_set if isinstance(cancel, Event) else cancel or (lambda: False)
    if isinstance(setup, SoundSetup):
        return SoundRunner(setup, on_progress, cancelled).run()
    return Runner(setup, engine or InlineEngine(), on_progress, cancelled).run()


def shots(
    source: StrPath,
    work_dir: StrPath | None = None,
    input: InputOptions = InputOptions(),
    on_progress: OnProgress | None = None,
) -> list[ListedShot]:
    """Find the shots of a film. With a job folder, they come from its plan, edits applied, and are kept there.

    Raises SourceNotFoundError, SourceError.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="restore-shots-") as scratch:
        folder = Path(work_dir) if work_dir is not None else Path(scratch)
        with disk_errors(folder), Job(folder) as job:
            found_identity = identity(os.fspath(source), input)
            job.adopt(found_identity, overwrite=False)
            job.update_manifest(source={"path": str(Path(source).absolute()), "identity": found_identity})
            if job.plan.frames_path.exists() and job.plan.shots_path.exists():
                index = FrameIndex.load(job.plan.frames_path)
            else:
                with open_source(os.fspath(source), input) as opened:
                    meter = Meter("list", None, on_progress)
                    index = list_frames(opened, job.plan, meter, lambda: None, os.fspath(source))
                    meter.finish()
            found = job.plan.shots(job.plan.cuts(), index, Edits.load(job.plan.edits_path))
    return [_listed(shot, index) for shot in found]


def export_keyframes(
    source: StrPath, folder: StrPath, input: InputOptions = InputOptions(), on_progress: OnProgress | None = None
) -> list[Path]:
    """Write the frames of a film worth colouring by hand, one or more a shot, as PNG pictures; returns them all.

    Their names say which frames they are: `colorize` takes the folder back as ``references``. Pictures that are there
    already are left alone. Raises SourceNotFoundError, SourceError, OutputError.
    """
    from restore.stages.colorize.keyframes import export

    place = Path(folder)
    found = shots(source, None, input, on_progress)
    with disk_errors(place), open_source(os.fspath(source), input) as opened:
        place.mkdir(parents=True, exist_ok=True)
        meter = Meter("analyse", found[-1].end_frame, on_progress)
        written = export(opened, [Shot(s.number, s.start_frame, s.end_frame) for s in found], place, meter.add)
        meter.finish()
    return written


def _listed(shot: Shot, index: FrameIndex) -> ListedShot:
    return ListedShot(shot.number, shot.start, shot.end, *index.span(shot.start, shot.end))


def apply(
    stage: str,
    frames: npt.NDArray[Any] | torch.Tensor,
    values: dict[str, Any] | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    **options: Any,
) -> Any:
    """Put a batch of frames through one stage, without any file.

    Args:
        stage: its name, for example ``upscale``.
        frames: (N, H, W, 3) numpy uint8 or uint16 RGB, or (N, 3, H, W) float torch tensor in [0, 1]: one shot.
        values: what a plan would say of the shot; the stage's own analyzer finds it if None.
        device, precision: as in `run`.
        **options: the stage's options.

    Returns frames of the same kind (arrays rounded and clamped, tensors as computed).

    Raises OptionError for frames or options that are not of this form.
    """
    pixels, back = _as_pixels(frames)
    count, _, height, width = pixels.shape
    deep = isinstance(frames, torch.Tensor) or frames.dtype != np.uint8
    color = ColorInfo("bt709", "iec61966-2-1", "gbr", "full")
    format = VideoFormat(width, height, PixelFormat("rgb", 32), color, Fraction(1, 25), Fraction(25))
    built = build_stage(stage, options)
    built.check(format)
    shot = Shot(0, 0, count)
    where = choose_device(device, precision, 16 if deep else 8)
    chain = Chain((built,), format, built.output_format(format), where)

    def read(wanted: range) -> list[Frame]:
        planes = pixels[wanted.start : wanted.stop, [1, 2, 0]].numpy()  # FFmpeg's order: G B R
        return [Frame(number, tuple(frame)) for number, frame in zip(wanted, planes, strict=True)]

    with torch.inference_mode(), chain:
        told = built.told(_findings(chain, shot, read)) if values is None else values
        results = [chain.converter.pixels([done], "rgb") for done in chain.pictures(read, shot, range(count), [told])]
    return back(torch.cat(results))


def _findings(chain: Chain, shot: Shot, read: Callable[[range], list[Frame]]) -> dict[str, Any]:
    """What the analyzer of a chain's one stage finds in a shot."""
    stage = chain.stages[0]
    analyzer = stage.analyzer()
    if analyzer is None:
        return {}
    times = np.arange(len(shot))
    analyzer.film(FrameIndex(times, times < 0, times == 0, Fraction(1, 25), Fraction(25), 1))
    analyzer.open(chain.device)
    found, arrays = chain.findings(analyzer, 0, read, shot, []), dict(analyzer.arrays())
    return {**found, "arrays": arrays} if arrays else found


def _as_pixels(frames: npt.NDArray[Any] | torch.Tensor) -> tuple[torch.Tensor, Callable[[torch.Tensor], Any]]:
    if isinstance(frames, torch.Tensor):
        if frames.dim() != 4 or frames.shape[1] != 3 or not frames.is_floating_point():
            raise OptionError("frames as a tensor are float, (N, 3, H, W), in [0, 1]")
        if not len(frames):
            raise OptionError("there are no frames to work on")
        return frames.detach().float().cpu(), lambda result: result.to(frames.device)
    array = np.asarray(frames)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype not in (np.uint8, np.uint16):
        raise OptionError("frames as an array are uint8 or uint16, (N, H, W, 3), RGB")
    if not len(array):
        raise OptionError("there are no frames to work on")
    peak = float(np.iinfo(array.dtype).max)

    def back(result: torch.Tensor) -> npt.NDArray[Any]:
        stored = result.mul(peak).round_().clamp_(0, peak).permute(0, 2, 3, 1).cpu().numpy()
        return np.ascontiguousarray(stored.astype(array.dtype))

    return torch.from_numpy(array.astype(np.float32)).permute(0, 3, 1, 2).div(peak), back


__all__ = [
    "JobResult",
    "ListedShot",
    "apply",
    "default_folder",
    "export_keyframes",
    "prepare_run",
    "probe",
    "run",
    "run_prepared",
    "shots",
]
