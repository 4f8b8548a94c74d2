"""What counts as found, and that each form of it would be."""

from __future__ import annotations

import base64

import msgspec
import pytest

from infra.faults.secrecy import found_in
from infra.operations.erasing.erase import Erasure, TableResult
from infra.operations.erasing.personal import KEY, Personal, key_record, needles_of
from infra.operations.erasing.proof import Proof, Trace, expires, traces_of
from schemas import codec
from schemas.accounts import DataKey

PERSONAL = Personal(
    account_id="8f14e45f-ceea-867a-9a2e-2a3ed5a55a4d",
    address="Ada.Lovelace@Example.org",
    names=("Ada", "Gräfin Lovelace"),
    wrapped=bytes(range(60)),
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"mail to Ada.Lovelace@Example.org.", "address"),
        (b"ada.lovelace@example.org", "address"),
        (b"Ada.Lovelace@Example.org".hex().encode(), "address"),
        (base64.b64encode(b"x" + b"ada.lovelace@example.org"), "address"),
        (msgspec.json.encode({"name": "Ada"}), "profile's name"),
        ("Hello Gräfin Lovelace".encode(), "profile's name"),
        (msgspec.json.encode({"wrapped": bytes(range(60))}), KEY),
    ],
)
def test_every_form_is_found(text: bytes, name: str) -> None:
    assert found_in([b"before" + text + b"after"], needles_of(PERSONAL)) == {name}


def test_a_record_of_a_key_is_known_by_its_beginning_whatever_the_key() -> None:
    """Also when the account was erased before, and its key is not known any more."""
    record = DataKey(account_id=PERSONAL.account_id, wrapped=b"?" * 60, created_at_ms=1)
    erased = Personal(account_id=PERSONAL.account_id, is_erased=True)
    assert found_in([codec.encode(record)], needles_of(erased)) == {KEY}
    assert found_in([codec.encode(record)], [key_record("another")]) == set()


def test_a_short_name_alone_proves_nothing() -> None:
    assert found_in([b"Ada Boulevard"], needles_of(PERSONAL)) == set()


def test_what_is_personal_is_unprintable() -> None:
    assert "Lovelace" not in repr(PERSONAL)
    assert all("Ada" not in needle.name for needle in needles_of(PERSONAL))


def test_ids_are_told_apart_from_traces() -> None:
    places = {
        "topic a": {"the account's id", "address"},
        "file b": {KEY},
        "table c": {"a profile's id"},
    }
    found = traces_of(places, key_may_lie_in_files=False)
    assert found == (Trace(what=KEY, where="file b"), Trace(what="address", where="topic a"))
    assert traces_of(places, key_may_lie_in_files=True) == found[1:]


@pytest.mark.parametrize(
    ("where", "is_brief"),
    [
        ("topic account.requests.v1", True),
        ("file kafka/data/account.requests.v1-3/00000000000000000000.log", True),
        ("topic accounts.v1", False),
        ("file kafka/data/accounts.v1-3/00000000000000000000.log", False),
        ("file logs/account.requests.v1.log", False),
        ("table account.requests.v1", False),
    ],
)
def test_what_requests_said_goes_within_the_hour_and_nothing_else(
    where: str, is_brief: bool
) -> None:
    trace = Trace(what="profile's name", where=where)
    assert expires(trace, ["account.requests.v1"]) == is_brief


@pytest.mark.parametrize(
    ("changes", "is_proven"),
    [
        ({}, True),
        ({"traces": (Trace(what="address", where="file b"),)}, False),
        ({"rows_left": 1}, False),
        ({"rows_after": 6}, False),
        ({"rows_after": 8}, True),
    ],
)
def test_it_is_proven_when_nothing_is_left_and_no_row_was_lost(
    changes: dict[str, object], is_proven: bool
) -> None:
    table = TableResult(table="events_raw", rows_before=7, rows_after=7)
    rows = {name: value for name, value in changes.items() if name.startswith("rows_")}
    proof = Proof(forms=9, looked_into=(), traces=(), expiring=(), pseudonyms=())
    traces = {name: value for name, value in changes.items() if name == "traces"}
    erasure = Erasure(
        account_id=PERSONAL.account_id,
        is_dry_run=False,
        was_erased_before=False,
        profiles=2,
        tables=(msgspec.structs.replace(table, **rows),),
        backups=(),
        proof=msgspec.structs.replace(proof, **traces),
    )
    assert erasure.is_proven == is_proven
