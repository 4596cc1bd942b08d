"""Which licences a person accepted on this machine: `licences.json` in the cache folder."""

from __future__ import annotations

from datetime import UTC, datetime

from restore.errors import LicenceError
from restore.zoo.cache import locked, read_record, write_record
from restore.zoo.spec import ModelSpec

_RECORD = "licences.json"


def is_accepted(spec: ModelSpec) -> bool:
    """Whether this model's licence needs no acceptance, or was accepted in its present form."""
    if not spec.licence.needs_acceptance:
        return True
    entry = read_record(_RECORD).get(spec.id)
    return isinstance(entry, dict) and entry.get("licence") == spec.licence.id


def require(spec: ModelSpec, *, accept: bool) -> None:
    """Record the acceptance when `accept` is given; otherwise insist on an earlier one.

    Raises:
        LicenceError: the licence needs acceptance and has none; the message names the terms and what to do.
    """
    if is_accepted(spec):
        return
    licence = spec.licence
    if not accept:
        raise LicenceError(
            f"{spec.id} comes under {licence.id}: {licence.summary} Read {licence.url};"
            " to accept it, add --accept-licence (accept_licence=True)"
        )
    with locked("records"):
        entries = read_record(_RECORD)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        entries[spec.id] = {"licence": licence.id, "url": licence.url, "accepted": when}
        write_record(_RECORD, entries)
