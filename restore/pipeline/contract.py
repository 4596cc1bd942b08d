"""The stage contract: what a stage declares before the first frame, and what the runner does with it.

A rendering stage is a pure function of the frames in its window and the plan of their shot. What has to remember
more than a few frames belongs in an `Analyzer`, whose findings become the plan: a file a person can read and edit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from restore.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from restore.frames import Domain, Frame, FrameBatch, Planes, Shot, VideoFormat
    from restore.pipeline.index import FrameIndex

Values = Mapping[str, Any]
"""What the plan says of one shot for one stage: plain JSON values, edits already applied. Arrays that an analyzer left
are under ``arrays``, a mapping by name."""


class StageOptions(BaseModel):
    """Options of one stage: the command's flags, the recipe's keys and the reference page are made from this.

    A field marked ``json_schema_extra={"runtime": True}`` (a tile size, a batch size) may not change the pixels
    and so does not count when the job decides what has to be rendered again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def effective(self) -> dict[str, Any]:
        """The options that can change pixels, as JSON values."""
        return {
            name: value for name, value in self.model_dump(mode="json").items() if not self.is_runtime(name)
        }  # fmt: skip

    @classmethod
    def is_runtime(cls, name: str) -> bool:
        """Whether a field cannot change the pixels."""
        extra = cls.model_fields[name].json_schema_extra
        return isinstance(extra, dict) and bool(extra.get("runtime"))


class Window(NamedTuple):
    """How many frames of context a stage wants around those it returns."""

    before: int = 0
    after: int = 0


class Finding(NamedTuple):
    """One ailment of a shot, as a stage's plan has it."""

    what: str
    """Its name: ``flicker``."""
    amount: str
    """How much of it, for people: ``4.1 %``."""
    severity: float
    """0 for none, 1 for what one cannot overlook; may be more."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where and how precisely networks run; fixed at the start of a job."""

    torch_device: torch.device
    precision: Literal["fp32", "bf16", "fp16"]
    """What convolutions compute in; everything around them stays fp32."""


class Analyzer(ABC):
    """Watches shots and writes down what rendering must know. Memory must not grow with the shot.

    Called for each shot: `begin`, `add` for every wanted frame in order, `finish`.
    """

    sees: ClassVar[Literal["source", "input"]] = "input"
    """``source``: frames as decoded. ``input``: frames as they reach the stage, after those before it."""

    domain: ClassVar[Domain | None] = None
    """What it works on, if that is not what its stage does."""

    def film(self, index: FrameIndex) -> None:  # noqa: B027 - optional
        """Told of the film's frames and their times, once, before anything else."""

    def heed(self, edits: Values) -> None:  # noqa: B027 - optional
        """Told, before each shot, what the person set for it, of the keys in `Stage.studied`."""

    def wanted(self, shot: Shot) -> range:
        """Which frames of the shot, by film index, it wants to see; all of them by default."""
        return range(shot.start, shot.end)

    def open(self, device: Device) -> None:  # noqa: B027 - optional
        """Load what is needed. Called once, before the first shot."""

    @abstractmethod
    def begin(self, shot: Shot, format: VideoFormat) -> None:
        """A shot starts; frames will come in `format`."""

    @abstractmethod
    def add(self, batch: FrameBatch) -> None:
        """See some wanted frames: `batch.pixels` in the stage's own domain, and in ``chroma`` luma in `planes`."""

    @abstractmethod
    def finish(self) -> dict[str, Any]:
        """The shot is over: its plan, as JSON values."""

    def arrays(self) -> Iterable[tuple[str, npt.NDArray[Any]]]:
        """Named arrays to keep beside the findings, asked for after `finish` and written as they come."""
        return ()


def first_problem(error: ValidationError) -> str:
    """The first complaint of pydantic, in one line of ours."""
    problem = error.errors()[0]
    place = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"there is no option {place}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


Options = TypeVar("Options", bound=StageOptions)


class Stage(ABC, Generic[Options]):
    """One step of restoration. Use as a context manager, or call `open` and `close`."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised whenever the same options and plan give other pixels."""
    domain: ClassVar[Domain] = "rgb"
    needs_progressive: ClassVar[bool] = False
    """Whether interlaced frames would come out ruined."""
    makes_progressive: ClassVar[bool] = False
    """Whether it takes interlaced frames apart."""
    editable: ClassVar[frozenset[str]] = frozenset()
    """Keys of the plan that a person may set in ``edits.json``."""

    studied: ClassVar[frozenset[str]] = frozenset()
    """Those of them that the analyzer must know of: setting one has the shots it touches analysed again."""
    timed: ClassVar[frozenset[str]] = frozenset()
    """Keys that hold for the frames of an edit alone, not for the shots it touches. Such a value reaches `process` as
    a list of ``{"from": pts, "to": pts, "value": ...}``, ``to`` exclusive; `checked_edit` must know them."""

    film_wide: ClassVar[bool] = False
    """Whether what is found in the shots is settled over the whole film. Its analyzer must see the source; it watches
    every shot, even if only a part is rendered, and `settle` makes plans of the findings."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def window(self) -> Window:
        """Context needed; never crosses a cut."""
        return Window()

    def check(self, format: VideoFormat) -> None:
        """Raise OptionError or SourceError if frames of this format cannot be worked on."""

    def check_film(self, index: FrameIndex) -> None:
        """Raise OptionError if what the options name is not in this film; asked before anything is analysed."""

    def output_format(self, format: VideoFormat) -> VideoFormat:
        """What comes out when `format` goes in."""
        return format

    def consent(self) -> dict[str, Any] | None:
        """What gives the right to alter a person, checked, as the job's record keeps it; None where nobody is altered.

        Raises ConsentError.
        """
        return None

    def effective(self) -> dict[str, Any]:
        """The options that can change pixels, as JSON values."""
        return self.options.effective()

    def analysed(self) -> dict[str, Any]:
        """The options that can change what the analyzer finds; by default all that count."""
        return self.effective()

    def concerns(self, shot: Shot, index: FrameIndex) -> dict[str, Any]:
        """What the analyzer's findings of one shot depend on beyond `analysed`, as JSON values: what a person handed in
        for some shots has only those analysed again."""
        return {}

    def told(self, found: Values) -> dict[str, Any]:
        """What rendering is told of a shot: what the analyzer found, and over it what the person's options say."""
        named = self.editable & type(self.options).model_fields.keys()
        said = {name: getattr(self.options, name) for name in sorted(named)}
        return {**found, **{name: value for name, value in said.items() if value is not None}}

    def idle(self, values: Values) -> bool:
        """Whether, told so of a shot, `process` would hand every frame on as it came: the stage is left out then."""
        return False

    def findings(self, values: Values) -> tuple[Finding, ...]:
        """What ails a shot, by its plan: what previews look for the worst of."""
        return ()

    def checked_edit(self, changes: Values) -> dict[str, Any]:
        """Validate what a person set in ``edits.json``: keys as `editable`, values as the options of that name.

        Raises OptionError.
        """
        unknown = set(changes) - self.editable
        if unknown:
            known = ", ".join(sorted(self.editable)) or "nothing"
            raise OptionError(f"{self.name} has no {sorted(unknown)[0]} to set; it has {known}")
        model = type(self.options)
        fields = {name: value for name, value in changes.items() if name in model.model_fields}
        for name, value in fields.items():
            if value is None:
                raise OptionError(f"{self.name}: {name}: null is no value; leave the key out")
        try:
            checked = model.model_validate({**self.options.model_dump(exclude_unset=True), **fields})
        except ValidationError as error:
            raise OptionError(f"{self.name}: {first_problem(error)}") from None
        return {**changes, **{name: getattr(checked, name) for name in fields}}

    def introduce(self, people: Sequence[Mapping[str, Any]]) -> None:
        """Told, before `settle`, what a person said of the people whom `restore faces` finds: ``people`` in
        ``edits.json``, in their order, ``same_as`` for its ``is``."""

    def settle(self, found: Sequence[Values]) -> list[dict[str, Any]]:
        """The plans of all shots, in order, made of what the analyzer found in each; asked of `film_wide` stages."""
        return [dict(values) for values in found]

    def analyzer(self) -> Analyzer | None:
        """A fresh analyzer, if the stage has something to find out."""
        return None

    def weights(self) -> dict[str, str]:
        """Name and hash of every model that shapes the result."""
        return {}

    @abstractmethod
    def open(self, device: Device, format: VideoFormat) -> None:
        """Load weights and get ready for frames of this format."""

    @abstractmethod
    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return the core frames, (len(batch), C, H, W), float32, and leave `batch.pixels` as they are.

        Or return them and a mask, (len(batch), 1, H, W) bool: samples outside it stay exactly as they were. In the
        domain ``planes``, return a tuple like `batch.planes`, of the core frames.
        """

    def stand_in(self, batch: FrameBatch, values: Values) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """A cheap replacement of `process` for the analyzers of later stages; the real thing by default."""
        return self.process(batch, values)

    def close(self) -> None:
        """Let go of weights and memory."""

    def __enter__(self) -> Stage[Options]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Timeline:
    """The frames of a new film, as a timeline stage decided them."""

    pts: npt.NDArray[np.int64]
    """In the stage's output time base, strictly rising."""
    rows: npt.NDArray[np.int32]
    """(frames, columns): how each frame is made; only the stage knows what the columns mean, but the first is always
    the source frame it begins with."""
    last_duration: int
    note: str = ""
    """What was found, in words."""


class Watcher(ABC):
    """Sees every frame of a film once, in order, and remembers a few numbers of each."""

    @abstractmethod
    def add(self, frame: Frame) -> None:
        """The next frame, native samples."""


class TimelineStage(Stage[Options]):
    """A stage that works on whole native frames, before any conversion, and decides which frames there are."""

    @abstractmethod
    def watcher(self, format: VideoFormat) -> Watcher:
        """What is to see the film, whose frames have this format: while it is listed, if it can."""

    @abstractmethod
    def find(self, seen: Watcher, pts: Sequence[int], shots: Sequence[Shot]) -> Timeline:
        """Decide, once a watcher of this stage has seen the whole film.

        `pts` are the frames' and, last, the end of the film.
        """

    @abstractmethod
    def needs(self, row: npt.NDArray[np.int32]) -> range:
        """Which source frames `compose` wants for a row."""

    @abstractmethod
    def compose(self, frames: Mapping[int, Frame], row: npt.NDArray[np.int32], format: VideoFormat) -> Planes:
        """Make one frame. A pure function of what `needs` asked for."""

    @abstractmethod
    def untouched(self, rows: npt.NDArray[np.int32]) -> bool:
        """Whether every frame of these rows is a source frame as it is, that in the row's first column."""

    def open(self, device: Device, format: VideoFormat) -> None:
        """Timeline stages work before the device comes in."""

    def process(self, batch: FrameBatch, values: Values) -> torch.Tensor:
        """Never called: see `compose`."""
        raise NotImplementedError
