"""What changes a face's age: one interface, several engines.

An engine sees the aligned crops of all faces of a batch in one call and answers with a *delta*: what is to be added to
them. The stage aligns, averages the delta along motion, masks it and puts it back: see `restore.stages.reage.render`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from restore.pipeline.contract import Device
from restore.stages.reage.alignment import Framing


@dataclass(frozen=True)
class Wishes:
    """What a person asks for one face, beside its age; engines that cannot do something leave it."""

    wrinkles: float = 1.0
    skin: float = 1.0
    shape: float = 1.0
    hair: float = 1.0
    hair_color: str | None = None
    brow_color: str | None = None
    zones: Mapping[str, float] = field(default_factory=dict)
    """Strength by name of zone (`restore.stages.reage.options.ZONES`); 1 where it is not named."""
    seed: int = 0
    """Of what is drawn by chance, the same for all frames of a track: where a spot appears, for example."""


@dataclass(frozen=True)
class Faces:
    """Aligned faces."""

    crops: Tensor
    """(N, 3, S, S) float32 RGB, display values, nominally [0, 1], not clamped. Upright, framed as `Engine.framing`
    says, light grain taken off."""
    points: Tensor
    """(N, 5, 2) float32: x, y of `restore.faces.detect.POINTS` in pixels of the crop."""
    source: Tensor
    """(N,) float32: age in the film, years."""
    target: Tensor
    """(N,) float32: age wanted, years."""
    wishes: Sequence[Wishes]
    """(N,)"""


class Engine(Protocol):
    """Changes ages. One object serves one stage; it remembers nothing from call to call that shapes the result."""

    name: str

    @property
    def framing(self) -> Framing:
        """How much of the head a crop shows."""
        ...

    def side(self, eye_distance: float) -> int:
        """S, pixels of a crop's side, for a face whose eyes lie so many pixels of the source apart."""
        ...

    def weights(self) -> dict[str, str]:
        """Name and hash of what shapes the result."""
        ...

    def open(self, device: Device) -> None:
        """Load weights."""
        ...

    def deltas(self, faces: Faces) -> Tensor:
        """(N, 3, S, S) float32: what to add to the crops. A face's does not depend on the others'."""
        ...


def choose_engine(name: str) -> Engine:
    """An engine by name: ``auto``, ``sift``, ``fran``, or the name or path of a network's weights.

    Nothing is loaded yet. Raises UnknownModelError where there are no such weights.
    """
    if name in ("auto", "sift"):
        from restore.stages.reage.sift import SiftEngine

        return SiftEngine()
    from restore import zoo
    from restore.stages.reage.fran import DEFAULT, FranEngine

    if name == "fran":
        return FranEngine(DEFAULT)
    zoo.resolve(name)
    return FranEngine(name)
