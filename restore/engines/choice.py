"""Which engine a person asked for. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

from restore.errors import OptionError

if TYPE_CHECKING:
    from restore.pipeline.render import Engine
    from restore.pipeline.setup import Setup

_LONG = 192
"""Frames from which on a film is worth starting worker processes for."""
_MOST = 8
"""Workers that are started unasked, at most."""

EngineName = Literal["inline", "local", "ray"]


@dataclass(frozen=True)
class EngineChoice:
    """An engine that is yet to be built, in whatever process."""

    name: EngineName = "inline"
    workers: int | None = None
    devices: tuple[str, ...] = ()
    address: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    """What a process needs in its environment to be let into the cluster."""

    @classmethod
    def asked(cls, name: EngineName | None, workers: int | None, devices: Sequence[str], address: str | None) -> Self:
        """What was said, or implied by what was. Raises OptionError for what does not go together."""
        chosen = name or ("ray" if address else "local" if workers or devices else "inline")
        if address and chosen != "ray":
            raise OptionError(f"--address is a Ray cluster's: leave it out, or --engine {chosen}")
        if chosen == "ray" and devices:
            raise OptionError("--devices is for --engine local: Ray gives each worker its own")
        if chosen == "inline" and (workers or devices):
            raise OptionError("--engine inline renders in this process: leave out --workers and --devices")
        return cls(chosen, workers, tuple(devices), address)

    def suited(self, setup: Setup) -> Self:
        """For whoever said nothing: worker processes, as many as cores and memory allow, where a long film goes through
        stages without networks on a processor. Threads of one process hold each other up there (Python's lock)."""
        from restore.engines.processes import cores, free_memory, worker_bytes
        from restore.pipeline.timeline import split_stages

        _, pictures = split_stages(setup.request.stages)
        info = setup.info
        frames = info.frame_count or float((info.duration or 0) * info.format.frame_rate)
        if setup.device.torch_device.type != "cpu" or frames < _LONG or any(stage.weights() for stage in pictures):
            return self
        pixels = max(format.width * format.height for format in setup.formats)
        workers = min(cores(), _MOST, free_memory() // 2 // worker_bytes(pixels))
        return replace(self, name="local", workers=workers) if workers > 1 and pictures else self

    def reached(self) -> Self:
        """The same; if it is a cluster, one that answers, or a head started here for as long as this process lasts.

        Raises ClusterError, EngineError if Ray is not installed, OptionError for what is no address.
        """
        if self.name != "ray":
            return self
        from restore.engines.cluster import reach

        address = reach(self.address)  # Ray puts into the environment how it is to be spoken to
        environment = tuple((name, value) for name, value in os.environ.items() if name.startswith("RAY_"))
        return replace(self, address=address, environment=environment)

    def warm(self) -> None:
        """Begin what takes a while before the engine can work, if anything does."""
        if self.name == "local":
            from restore.engines.processes import WORKERS_NEED, warm

            warm(WORKERS_NEED)

    def build(self) -> Engine:
        """The engine."""
        if self.name == "ray":
            from restore.engines.ray import RayEngine

            os.environ.update(self.environment)
            return RayEngine(self.workers, self.address)
        if self.name == "local":
            from restore.engines.local import LocalEngine

            return LocalEngine(self.workers, self.devices)
        from restore.engines.inline import InlineEngine

        return InlineEngine()
