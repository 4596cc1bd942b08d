"""Altered footage says so: the comment every output carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from restore import __version__
from restore.pipeline.audio_contract import AudioStage
from restore.pipeline.contract import Stage


def label(stages: Sequence[Stage[Any] | AudioStage[Any]], tags: Mapping[str, str]) -> dict[str, str]:
    """Which tool, which stages, which networks, behind what the source's own comment said."""
    steps = []
    for stage in stages:
        models = ", ".join(stage.weights())
        steps.append(f"{stage.name} ({models})" if models else stage.name)
    if not steps:
        return {}
    said = f"Restored with restore {__version__}: {'; '.join(steps)}"
    before = next((value for key, value in tags.items() if key.lower() == "comment"), None)
    return {"comment": f"{before}; {said}" if before and said not in before else said}
