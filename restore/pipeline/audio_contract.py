"""The contract of sound stages: what a stage declares before the first sample, and what the runner does with it.

A track is cut into a fixed grid of chunks (`AudioFormat.chunk` samples, from the track's first), independent of shots
and of who renders what. A rendering stage is a pure function of a chunk, the samples in the window around it, and the
`State` that its analyzer found on the whole track. Whatever remembers more than the window holds (the spectrum of the
noise, the phase of the hum, where the clicks are, the loudness) belongs in that state, which is kept in the plan.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar

from pydantic import Field, ValidationError

from restore.errors import OptionError
from restore.pipeline.contract import Device, StageOptions, first_problem

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from restore.frames import AudioBatch, AudioChunk, AudioFormat


class AudioStageOptions(StageOptions):
    """Options of one sound stage. Every stage has a strength; its own description may be more precise."""

    strength: float = Field(1.0, ge=0, le=1, description="1 repairs fully, 0 leaves the sound as it is.")


@dataclass(frozen=True)
class State:
    """What an analyzer found on a whole track: a part of the plan."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON values, few enough for a person to read: ``plan/sound-1.json``."""
    arrays: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    """What is too long for that (curves, spectra, lists of positions): ``plan/sound-1-declick.npz``. No objects."""


class AudioWindow(NamedTuple):
    """How many samples of context a stage wants around those it returns.

    The warm-up of a recursive estimator is part of `before`: it starts there, from the state, and must have settled
    where the chunk begins.
    """

    before: int = 0
    after: int = 0


class AudioAnalyzer(ABC):
    """Listens to a whole track once, from beginning to end. Memory must not grow with the track (arrays of findings,
    such as positions of clicks, may).

    Called in this order: `open`, `begin`, `add` for chunk after chunk, `finish`.
    """

    sees: ClassVar[Literal["source", "input"]] = "input"
    """``source``: the track as decoded, all such analyzers of a recipe in one pass. ``input``: the track as it reaches
    the stage, after those before it. Say ``source`` where the difference does not matter: it is quicker."""

    def open(self, device: Device) -> None:  # noqa: B027 - optional
        """Load what is needed."""

    @abstractmethod
    def begin(self, format: AudioFormat) -> None:
        """A track starts; how long it is will only be known at its end."""

    @abstractmethod
    def add(self, chunk: AudioChunk) -> None:
        """Hear the next chunk: all of `format.chunk` samples but for the track's last. No context, no overlap."""

    @abstractmethod
    def finish(self) -> State:
        """The track is over. It may have been shorter than any window, or silent."""


Options = TypeVar("Options", bound=AudioStageOptions)


class AudioStage(ABC, Generic[Options]):
    """One step of sound repair. Use as a context manager, or call `open` and `close`.

    Must be picklable before `open`. What comes out may not depend on how chunks are grouped into batches, to the bit.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised whenever the same options and state give other samples."""
    fixed: ClassVar[frozenset[str]] = frozenset()
    """Options that a person cannot set for a stretch of time in ``edits.json``: those the analyzer goes by. All others
    can be; the runner renders such a stretch with the options changed, and fades over at its ends."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @property
    def idle(self) -> bool:
        """Whether the stage would change nothing: the runner then leaves it out."""
        return self.options.strength == 0

    def check(self, format: AudioFormat) -> None:
        """Raise OptionError or SourceError if a track of this format cannot be worked on with these options."""

    def window(self, format: AudioFormat) -> AudioWindow:
        """Context needed, in samples at the track's rate."""
        return AudioWindow()

    def consent(self) -> dict[str, Any] | None:
        """What gives the right to alter a person's voice, checked, as the job's record keeps it; None where nobody's is
        altered. Raises ConsentError."""
        return None

    def effective(self) -> dict[str, Any]:
        """The options that can change samples, as JSON values."""
        return self.options.effective()

    def edited(self, changes: Mapping[str, Any]) -> Self:
        """This stage with other options, as ``edits.json`` sets them for a stretch. Raises OptionError."""
        known = type(self.options).model_fields.keys() - self.fixed
        unknown = set(changes) - known
        if unknown:
            raise OptionError(f"{self.name} has no {sorted(unknown)[0]} to set; it has {', '.join(sorted(known))}")
        try:
            options = type(self.options).model_validate({**self.options.model_dump(exclude_unset=True), **changes})
        except ValidationError as error:
            raise OptionError(f"{self.name}: {first_problem(error)}") from None
        return type(self)(options)

    def analyzer(self) -> AudioAnalyzer | None:
        """A fresh analyzer, if the stage has something to find out."""
        return None

    def weights(self) -> dict[str, str]:
        """Name and hash of every model that shapes the result."""
        return {}

    @abstractmethod
    def open(self, device: Device, format: AudioFormat, state: State) -> None:
        """Load weights and get ready for a track of this format, of which the analyzer found `state`.

        The state is empty where the stage has no analyzer.
        """

    @abstractmethod
    def process(self, batch: AudioBatch) -> torch.Tensor:
        """Return the core samples, (batch, channels, chunk) float32, finite, and leave `batch.samples` as they are.

        Where the track ends inside a chunk, what lies behind its end is ignored. No delay: sample for sample. May be
        called by several threads at once, so it changes nothing of the stage.
        """

    def close(self) -> None:
        """Let go of weights and memory."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
