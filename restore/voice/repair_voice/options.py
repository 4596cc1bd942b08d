"""Options of `repair-voice`. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from restore.pipeline.audio_contract import AudioStageOptions


class RepairVoiceOptions(AudioStageOptions):
    """Steady a voice that illness or age has worn: hoarse, rough, breathy.

    Cycles that stumble are set in even steps, and each is led towards its neighbours; pitch, timing, unvoiced sounds
    and breaths stay the actor's own. An earlier recording of the same voice (--reference) tells how bright and full
    it was. Needs a consent record, or a reason why none is needed. Made for one voice alone on its track: music and
    voices over each other come out wrong.
    """

    strength: float = Field(
        1.0, ge=0, le=1, description="Share of everything below: 0.5 is often enough, 0 changes nothing."
    )
    steadiness: float = Field(1.0, ge=0, le=1, description="How far stumbling cycles (jitter) are evened out.")
    smoothness: float = Field(
        0.7, ge=0, le=1, description="How far roughness, breath and uneven loudness of cycles are worn down."
    )
    reference: str | None = Field(
        None,
        description="Sound file or film with the same voice when it was well: its long-term spectrum is the guide.",
    )
    tone: float = Field(1.0, ge=0, le=1, description="How far the voice is led to the reference's spectrum.")
    consent: str | None = Field(
        None, description="Consent record of the person whose voice it is: see docs/consent.md."
    )
    own_work: str | None = Field(None, description="Instead: why none is needed, the voice being your own for example.")
    test_material: str | None = Field(
        None, description="Instead: why nobody is affected, made-up material for example."
    )
