"""Consent records and stated reasons."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from restore.errors import ConsentError
from restore.provenance.consent import Claim, checked_claim

TODAY = date(2026, 6, 1)
RECORD = """
person = "Ada Example"
uses = ["face"]
work = "The Long Winter"
given_by = "Ada Example"
date = 2026-03-01
expires = 2027-01-01
statement = "I agree that my face is made younger in this film."
"""


def record(folder: Path, text: str = RECORD) -> Path:
    path = folder / "ada.toml"
    path.write_text(text)
    return path


def test_a_record_is_kept_whole(tmp_path: Path) -> None:
    kept = checked_claim(Claim(record=record(tmp_path)), "face", TODAY)
    assert kept["person"] == "Ada Example"
    assert kept["basis"] == "record"
    assert len(kept["sha256"]) == 64
    assert kept["expires"] == "2027-01-01"


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        (Claim(), "needs a consent record"),
        (Claim(own_work="my own face", test_material="also this"), "not several"),
        (Claim(own_work=" ok "), "states no reason"),
        (Claim(record=Path("nowhere.toml")), "cannot be read"),
    ],
)
def test_what_gives_no_right(claim: Claim, says: str) -> None:
    with pytest.raises(ConsentError, match=says) as raised:
        checked_claim(claim, "face", TODAY)
    assert isinstance(raised.value, PermissionError)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["face"]', '["voice"]', "not to face"),
        ('["face"]', '["hands"]', "uses"),
        ("2027-01-01", "2026-05-31", "expired"),
        ("2026-03-01", "2026-07-01", "still to come"),
        ('given_by = "Ada Example"', "", "given_by"),
        ("person =", "person :", "cannot be read"),
    ],
)
def test_what_a_record_must_say(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConsentError, match=says):
        checked_claim(Claim(record=record(tmp_path, RECORD.replace(old, new))), "face", TODAY)


def test_a_reason_is_kept() -> None:
    assert checked_claim(Claim(own_work="it is  my own voice"), "voice", TODAY) == {
        "use": "voice",
        "basis": "own_work",
        "reason": "it is my own voice",
    }
