"""Options of `dehiss`. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class DehissOptions(AudioStageOptions):
    """Turn down hiss and other noise that lasts, and leave what was meant to be heard.

    The noise is followed through the whole track first, so that a change of reel or tape is a change of noise. Nothing
    is ever turned down by more than --atten-limit, in no frequency and at no moment: what remains sounds like the same
    room, more quietly, and never like silence switched on. Left and right are treated as one, so that nothing wanders.
    """

    strength: float = Field(
        1.0, ge=0, le=1, description="Share of the attenuation, in dB: 0.5 turns noise down half as far, 0 not at all."
    )
    atten_limit: float | None = Field(
        None, ge=0, le=60,
        description="Turn nothing down by more than this many dB. 6 to 12 keeps the period's air; 20 is for loud hiss; "
        "beyond 25 it can sound dead. [default: 9 to 20, the louder and steadier the noise, the more]",
    )  # fmt: skip
    sensitivity: float = Field(
        0.0, ge=-12, le=12,
        description="Take the noise to be this many dB louder (more goes) or quieter (more stays) than was measured.",
    )  # fmt: skip
    music: float = Field(
        0.8, ge=0, le=1,
        description="How much more gently music is treated than speech: 0 alike, 1 not touched at all.",
    )  # fmt: skip
    model: str | None = Field(
        None,
        description="A network for the voice band, by name (gtcrn-dns3, gtcrn-vctk) or weights file: stronger on noise "
        "that changes, and bolder with the voice. The default needs none.",
    )
