"""Altered footage says so: the comment every output carries, and the consent that the job's record names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from restore import __version__
from restore.pipeline.audio_contract import AudioStage
from restore.pipeline.contract import Stage


def consents(stages: Sequence[Stage[Any] | AudioStage[Any]]) -> list[dict[str, Any]]:
    """On what the stages that alter a person rest, for the job's record."""
    claims = [(stage.name, stage.consent()) for stage in stages]
    return [{"stage": name, **claim} for name, claim in claims if claim is not None]


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
