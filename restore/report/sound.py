"""What a repair did to the sound, heard before and after: pictures and numbers in the job folder.

``plots/sound-1-spectrogram.png``, ``plots/sound-1-levels.png`` and ``plots/sound-1.json``, one of each a track.
Matplotlib is imported when something is plotted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from restore.errors import PlanError, SourceError
from restore.files import whole
from restore.frames import AudioFormat
from restore.media.sound import Block, SoundReader, SoundTrack, probe_sound
from restore.media.sound_codecs import excerpt
from restore.pipeline.job import Job
from restore.pipeline.plan import write_json
from restore.report.sound_measures import Heard, SoundMeter
from restore.times import format_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOTS = "plots"
_BEFORE, _AFTER = "#9a9a9a", "#1f5fa8"
_EXCERPT_SECONDS = 8
"""Of an excerpt, over the channels of all tracks together: without loss, sound fills a page soon."""
_SHORTEST = 2
_EXCERPTS = 2
_FLAC = "audio/flac"
_MEASURES = (
    ("loudness", "loudness", "{:.1f} LUFS"),
    ("peak", "peak", "{:.1f} dBFS"),
    ("noise_floor", "noise floor", "{:.1f} dBFS"),
    ("clicks_a_minute", "clicks", "{:.0f} a minute"),
    ("clipped_share", "on a flat top", "{:.3%} of the samples"),
)
_DYNAMIC = 90.0
"""dB between black and white of a spectrogram."""


@dataclass(frozen=True)
class Excerpt:
    """A stretch to listen to, before and after."""

    start: float
    """Seconds from the track's first sample."""
    before: bytes
    after: bytes
    """FLAC."""


@dataclass(frozen=True)
class TrackReport:
    """One repaired track."""

    track: SoundTrack
    before: Heard
    after: Heard
    excerpts: tuple[Excerpt, ...]

    def facts(self) -> list[tuple[str, str]]:
        """What was measured, before and after, in words."""
        facts = []
        for name, words, form in _MEASURES:
            values = [getattr(heard, name) for heard in (self.before, self.after)]
            first, second = ("silent" if value is None else form.format(value) for value in values)
            facts.append((f"{words}, track {self.track.number}", f"{first} before, {second} after"))
        lines = [", ".join(f"{hertz:.0f} Hz" for hertz, _ in h.hum) or "none" for h in (self.before, self.after)]
        return [*facts, (f"hum, track {self.track.number}", f"{lines[0]} before, {lines[1]} after")]

    def sounds(self) -> list[tuple[str, bytes, str]]:
        """The excerpts with their captions, as a page takes them."""
        found = []
        for part in self.excerpts:
            when = f"track {self.track.number} from {format_time(part.start)}"
            found += [(f"{when}, before", part.before, _FLAC), (f"{when}, after", part.after, _FLAC)]
        return found


def sound_report(folder: Path) -> list[TrackReport]:
    """Hear source and output of a finished job, draw and write down what is different.

    Raises PlanError for a job that repaired no sound or is not finished, SourceError where its files are gone.
    """
    manifest = Job(folder).manifest
    made = manifest.get("finished") or {}
    if not made.get("sound"):
        raise PlanError(f"{folder}: this job has not repaired any sound, or is not finished")
    source = Path(manifest.get("recipe", {}).get("input", {}).get("audio") or manifest["source"]["path"])
    output = Path(manifest["output"])
    first, second = probe_sound(source), probe_sound(output)
    reports = []
    for entry in made["sound"]:
        try:
            before, after = first.tracks[entry["source"] - 1], second.tracks[entry["output"] - 1]
        except IndexError:
            raise SourceError(f"{output}: has no sound track {entry['output']} any more; run the job again") from None
        pair = _Pair(source, before, entry["first"], output, after)
        seconds = max(_SHORTEST, _EXCERPT_SECONDS // (after.format.channels * len(made["sound"])))
        reports.append(_report(folder / PLOTS, pair, seconds))
    return reports


class _Pair:
    """A track before and after, read side by side."""

    def __init__(self, source: Path, before: SoundTrack, first: int, output: Path, after: SoundTrack) -> None:
        self.source, self.before, self.first, self.output, self.after = source, before, first, output, after
        self.length = sum(block.shape[1] for block in SoundReader(output, after).blocks())

    def blocks(self) -> Iterator[tuple[Block, Block]]:
        """Seconds of both, the source's from the sample on that the output begins with."""
        sources = _seconds(SoundReader(self.source, self.before), self.first)
        yield from zip(sources, _seconds(SoundReader(self.output, self.after), 0), strict=False)


def _seconds(reader: SoundReader, skip: int) -> Iterator[Block]:
    """A track in blocks of a second."""
    size = reader.track.format.rate
    held: list[Block] = []
    count = 0
    for block in reader.blocks():
        if skip >= block.shape[1]:
            skip -= block.shape[1]
            continue
        held.append(block[:, skip:])
        count += block.shape[1] - skip
        skip = 0
        if count < size:
            continue
        joined = np.concatenate(held, 1)
        whole = count // size * size
        yield from (joined[:, at : at + size] for at in range(0, whole, size))
        held, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(held, 1)


def _report(folder: Path, pair: _Pair, excerpt_seconds: int) -> TrackReport:
    formats = pair.before.format, pair.after.format
    meters = [SoundMeter(format, round(pair.length * format.rate / formats[1].rate)) for format in formats]
    changes: list[float] = []
    for before, after in pair.blocks():
        meters[0].add(before)
        meters[1].add(after)
        changes.append(_changed(before, after))
    heard = meters[0].finish(), meters[1].finish()
    folder.mkdir(exist_ok=True)
    stem = folder / f"sound-{pair.before.number}"
    seconds = pair.length / formats[1].rate
    plots = (Path(f"{stem}-levels.png"), Path(f"{stem}-spectrogram.png"))
    _save(_draw_levels(heard, formats, seconds), plots[0])
    _save(_draw_spectrograms(heard, formats, seconds), plots[1])
    write_json(Path(f"{stem}.json"), {"before": heard[0].numbers(), "after": heard[1].numbers()})
    return TrackReport(pair.before, *heard, tuple(_excerpts(pair, changes, excerpt_seconds)))


def _changed(before: Block, after: Block) -> float:
    """How much was done to a second of sound, apart from its level: power of what differs against what stayed."""
    if before.shape != after.shape:
        return 0.0
    first, second = before.astype(np.float64).ravel(), after.astype(np.float64).ravel()
    power = float(first @ first)
    gain = float(first @ second) / power if power else 0.0
    return float(np.square(second - gain * first).sum())


def _excerpts(pair: _Pair, changes: list[float], seconds: int) -> Iterator[Excerpt]:
    """The stretches that changed most, apart from each other, in order of time."""
    span = min(seconds, max(1, len(changes)))
    sums = np.convolve(changes, np.ones(span), "valid") if changes else np.zeros(0)
    starts: list[int] = []
    while len(starts) < _EXCERPTS and len(sums) and sums.max() >= 0:
        best = int(np.argmax(sums))
        starts.append(best)
        sums[max(0, best - 2 * span) : best + 2 * span] = -1
    wanted = {second: start for start in starts for second in range(start, start + span)}
    found: dict[int, tuple[list[Block], list[Block]]] = {start: ([], []) for start in starts}
    for second, blocks in enumerate(pair.blocks()):
        if second in wanted:
            for held, block in zip(found[wanted[second]], blocks, strict=True):
                held.append(block)
    for start in sorted(found):
        before, after = found[start]
        if before:
            yield Excerpt(
                float(start), excerpt(np.concatenate(before, 1), pair.before.format),
                excerpt(np.concatenate(after, 1), pair.after.format),
            )  # fmt: skip


def _draw_spectrograms(heard: tuple[Heard, Heard], formats: tuple[AudioFormat, AudioFormat], seconds: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure((12, 7), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    top = max(float(part.spectrogram.max()) for part in heard)
    unit, name = _unit(seconds)
    for axis, part, format, title in zip(axes, heard, formats, ("before", "after"), strict=True):
        picture = axis.imshow(
            part.spectrogram, origin="lower", aspect="auto", cmap="magma", vmin=top - _DYNAMIC, vmax=top,
            extent=(0, seconds / unit, 0, format.rate / 2000), interpolation="antialiased",
        )  # fmt: skip
        axis.set_ylabel("kHz")
        axis.set_title(title, loc="left", fontsize=10)
        figure.colorbar(picture, ax=axis, label="dB", pad=0.01)
    axes[1].set_xlabel(name)
    return figure


def _unit(seconds: float) -> tuple[float, str]:
    return (60.0, "minutes") if seconds > 180 else (1.0, "seconds")


def _draw_levels(heard: tuple[Heard, Heard], formats: tuple[AudioFormat, AudioFormat], seconds: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure((12, 9), layout="constrained")
    wave, loud, tone = figure.subplots(3, 1)
    unit, name = _unit(seconds)
    for part, colour, label in zip(heard, (_BEFORE, _AFTER), ("before", "after"), strict=True):
        at = np.linspace(0, seconds / unit, len(part.lowest))
        wave.fill_between(at, part.lowest, part.highest, color=colour, alpha=0.6, linewidth=0, label=label)
        shown = np.maximum(part.momentary, -70)
        loud.plot(np.linspace(0, seconds / unit, len(shown)), shown, color=colour, linewidth=0.8, label=label)
        spectrum = _smoothed(part.spectrum)
        tone.plot(np.arange(len(spectrum)), spectrum, color=colour, linewidth=0.8, label=label)
        for hertz, _ in part.hum:
            tone.axvline(hertz, color=colour, linewidth=0.5, linestyle=":")
    wave.set_ylabel("waveform")
    loud.set_ylabel("momentary loudness, LUFS")
    loud.set_xlabel(name)
    tone.set_xscale("log")
    tone.set_xlim(20, max(format.rate for format in formats) / 2)
    tone.set_xlabel("hertz (dotted: lines of hum)")
    tone.set_ylabel("spectrum, dB")
    for axis in (wave, loud, tone):
        axis.legend(loc="upper right", fontsize=8)
        axis.grid(alpha=0.2)
    return figure


def _smoothed(spectrum: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A spectrum as a plot can show it: lines below 1 kHz stay, above it is averaged over a twentieth of an octave."""
    shown = spectrum.copy()
    power = np.concatenate([[0.0], np.cumsum(10 ** (spectrum / 10))])
    at = np.arange(1000, len(spectrum))
    if len(at):
        width = (at * 0.018).astype(int)
        first, last = at - width, np.minimum(at + width + 1, len(spectrum))
        shown[1000:] = 10 * np.log10((power[last] - power[first]) / (last - first) + 1e-12)
    return shown


def _save(figure: Figure, path: Path) -> None:
    """Write a picture whole or not at all."""
    facts: dict[str, Any] = {"Software": None}  # the same plot is the same file
    with whole(path) as file:
        figure.savefig(file, format="png", dpi=110, metadata=facts)
