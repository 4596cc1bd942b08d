"""Consent: altering a person's face or voice asks for a record of that person's agreement. Imports no torch.

A record is a small TOML file that a person writes and keeps:

    person = "Ada Example"
    uses = ["face"]                 # "face", "voice", or both
    work = "The Long Winter, reel 3"
    given_by = "Ada Example"        # or who may speak for her, an estate for example
    date = 2026-03-01
    expires = 2031-03-01            # optional
    statement = "I agree that my face is made younger in this film."

The deep-synthesis rules of China (2023) ask for separate consent to the editing of faces and voices; performers'
agreements (SAG-AFTRA 2023) for one that is clear and specific as to use, after death from the estate. Whether a record
is genuine is not checked here: it is named, hashed and written into the job's record.
"""

from __future__ import annotations

import datetime
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from restore.errors import ConsentError

Use = Literal["face", "voice"]
MIN_REASON = 8
"""Letters a stated reason has at least: "ok" states nothing."""


class ConsentRecord(BaseModel):
    """One person's agreement, as written in its file."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    person: str = Field(min_length=1)
    uses: tuple[Use, ...] = Field(min_length=1)
    work: str = Field(min_length=1)
    given_by: str = Field(min_length=1)
    date: datetime.date
    expires: datetime.date | None = None
    statement: str = Field(min_length=1)


@dataclass(frozen=True)
class Claim:
    """What the person at the keyboard says gives the right to alter a face or voice: exactly one of these.

    Attributes:
        record: a consent record's file.
        own_work: why no record is needed: it is one's own face or voice, for example.
        test_material: why no record is needed: made-up or published test material, for example.
    """

    record: Path | None = None
    own_work: str | None = None
    test_material: str | None = None


def checked_claim(claim: Claim, use: Use, today: datetime.date | None = None) -> dict[str, Any]:
    """Check a claim for one use; returns what the job's record keeps of it, as JSON.

    Raises ConsentError if nothing, or more than one thing, is claimed, if a reason says nothing, or if the record
    cannot be read, does not cover the use, or has expired (`today` is this day if not given).
    """
    given = [name for name in ("record", "own_work", "test_material") if getattr(claim, name) is not None]
    if not given:
        raise ConsentError(
            f"altering a person's {use} needs a consent record: give --consent FILE, or --own-work or --test-material "
            "with a reason"
        )
    if len(given) > 1:
        raise ConsentError("give one of --consent, --own-work and --test-material, not several")
    if claim.record is not None:
        return _from_record(claim.record, use, today or datetime.date.today())
    reason = " ".join((claim.own_work or claim.test_material or "").split())
    if len(reason) < MIN_REASON:
        flag = "--" + given[0].replace("_", "-")
        raise ConsentError(f"{flag} {reason!r}: states no reason; say in a few words why no consent record is needed")
    return {"use": use, "basis": given[0], "reason": reason}


def _from_record(path: Path, use: Use, today: datetime.date) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
        record = ConsentRecord.model_validate(tomllib.loads(raw.decode("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConsentError(f"{path}: cannot be read as a consent record ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConsentError(f"{path}: {where}: {first['msg']}; see docs/consent.md") from None
    if use not in record.uses:
        raise ConsentError(f"{path}: {record.person} agreed to {' and '.join(record.uses)}, not to {use}")
    if record.date > today:
        raise ConsentError(f"{path}: is dated {record.date}, which is still to come")
    if record.expires is not None and record.expires < today:
        raise ConsentError(f"{path}: {record.person}'s consent expired on {record.expires}")
    return {
        "use": use,
        "basis": "record",
        "file": path.name,
        "sha256": hashlib.sha256(raw).hexdigest(),
        **record.model_dump(mode="json"),
    }
