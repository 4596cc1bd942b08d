"""What the zoo knows about a model: one frozen, typed record each. No torch, no network, no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["upscale", "companion", "analysis", "colorize", "voice", "faces", "reage"]
"""What a model is for: `upscale` enlarges a picture, a `companion` is only ever blended with another model's weights,
`analysis` measures the source, `colorize` proposes colours for pictures without any, `voice`
cleans speech, `faces` finds or tells apart faces, `reage` makes them older or younger."""


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms a model's weights come under."""

    id: str
    """SPDX identifier, or a short name where there is none."""
    summary: str
    """One sentence a person can decide on."""
    url: str
    non_commercial: bool = False

    @property
    def needs_acceptance(self) -> bool:
        """Whether a person must accept these terms before the weights are fetched or imported."""
        return self.non_commercial


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model the project knows by name.

    A hash proves only what it was made from. `sha256` is that of the published file and proves byte identity.
    `tensor_sha256` is that of the numbers inside (`restore.zoo.tensor_hash`) and recognises a re-saved copy.
    `half_sha256` is the same after rounding every number to half precision: it recognises a copy that was stored in
    half precision, and any copy at all of a model whose `tensor_sha256` is not known yet.
    """

    id: str
    title: str
    kind: Kind
    purpose: str
    """What it is for, and what it does badly, in a sentence or two."""
    architecture: str
    licence: Licence
    source: str
    """Where the model is published: a page for people."""
    file_name: str
    """Name of the weights file, the same in the cache and on a mirror."""
    scale: int | None = None
    urls: tuple[str, ...] = ()
    """Where the file is published, in the order to try. Empty for bundled models."""
    bytes: int | None = None
    sha256: str | None = None
    sha_confirmations: str = ""
    """How sure the hash is: how many independent registries pin the same value."""
    tensor_sha256: str | None = None
    half_sha256: str | None = None
    state_dict_key: str | None = None
    """Key of the checkpoint under which the tensors lie; None where they lie at the top."""
    blend_with: str | None = None
    """Id of the companion whose weights are mixed in for denoise strengths under 1."""
    bundled: bool = False
    """Trained by this project and kept in its `models/` folder: nothing to fetch."""
    precisions: tuple[str, ...] = ("float32", "bfloat16", "float16")
    """Number formats that give the same picture to the eye, float32 first."""


@dataclass(frozen=True, slots=True)
class KnownImpostor:
    """A file seen in the wild that loads as a known model but is not that model."""

    tensor_sha256: str
    pretends: str
    """The model it is taken for."""
    truth: str
    """What it is, and what goes wrong with it."""
