"""Reaching a Ray cluster, or starting a head on this machine. Imports no torch."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from restore.errors import ClusterError, EngineError, OptionError

_ANSWER = 5.0
"""Seconds an address has to answer. Ray itself waits minutes and then ends the process."""


def reach(address: str | None) -> str:
    """Connect to a cluster, or start a head that lasts as long as this process; returns where others find it.

    Raises ClusterError if no one answers, EngineError if Ray is not installed, OptionError for what is no address.
    """
    ray = connected(address)
    if address is not None and address.startswith("ray://"):
        return address
    return str(ray.get_runtime_context().gcs_address)


def _import() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without it Ray hides the graphics cards from workers that asked for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise EngineError("--engine ray needs Ray: pip install 'restore-film[ray]'") from None
    return ray


def connected(address: str | None) -> Any:
    """Ray, connected to a cluster; as `reach` raises.

    Ray itself disconnects, and ends a head it started, when the process ends.
    """
    ray = _import()
    if ray.is_initialized():
        return ray
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address not in (None, "auto", "local"):
        _answers(str(address))
    try:
        if address is not None and address != "local":
            ray.init(address=address, **quiet)
        else:
            try:
                if address == "local":
                    raise ConnectionError
                ray.init(address="auto", **quiet)
            except ConnectionError:
                ray.init(address="local", include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:
        why = str(error).split(". ")[0] or "no answer"
        raise ClusterError(f"--address {address}: no Ray cluster there ({why}); start one with `ray start`") from None
    return ray


def _answers(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_ANSWER):
            return
    except ValueError:
        raise OptionError(f"--address {address}: write auto, HOST:PORT or ray://HOST:PORT") from None
    except OSError as error:
        raise ClusterError(
            f"--address {address}: no one answers there ({error.strerror or error}); is the head running, and its port "
            "open?"
        ) from None
