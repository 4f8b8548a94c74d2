"""The chain says where it was broken, and how: alone, from the records of one place."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infra.operations.audit.entries import Break, Entry, read_entry
from infra.operations.audit.walk import Walk
from schemas.licenses import LicenseDecision
from streams.chain import decision_hash
from tests.builders import NOW_MS
from tests.unit.operations.audit.records import changed, entries, some_payloads

COUNT = 12
CHAIN = entries(some_payloads(COUNT))


def walked(chain: list[Entry], *, kept_from_ms: int = 0) -> list[Break]:
    walk = Walk("log", 3, kept_from_ms=kept_from_ms)
    found = [each for entry in chain for each in walk.take(entry)]
    return found + walk.end()


def told(chain: list[Entry]) -> list[tuple[str, int, int]]:
    return [(b.kind, b.offset, b.until_offset) for b in walked(chain)]


@given(st.integers(0, COUNT - 1))
def test_a_whole_chain_is_whole_from_wherever_it_is_kept(start: int) -> None:
    assert walked(CHAIN[start:]) == []


@given(st.integers(0, COUNT - 2))
def test_a_changed_record_is_found_in_its_place(at: int) -> None:
    assert told([*CHAIN[:at], changed(CHAIN[at]), *CHAIN[at + 1 :]]) == [("changed", at, at)]


@given(st.integers(1, COUNT - 2))
def test_a_record_put_in_the_place_of_another_is_found(at: int) -> None:
    other = replace(changed(CHAIN[at]), previous="0" * 64)
    assert told([*CHAIN[:at], other, *CHAIN[at + 1 :]]) == [("changed", at, at)]


@given(st.integers(1, COUNT - 2), st.integers(1, 4))
def test_missing_records_are_found_as_a_range(first: int, count: int) -> None:
    last = min(first + count - 1, COUNT - 2)
    assert told([*CHAIN[:first], *CHAIN[last + 1 :]]) == [("missing", first, last)]


@given(st.integers(1, COUNT - 2), st.booleans())
def test_an_added_record_is_found(at: int, is_chained: bool) -> None:
    """Also one that names the right record before it: the genuine one does so too."""
    previous = CHAIN[at - 1].hash if is_chained else "0" * 64
    added = Entry(at, "f" * 64, previous, NOW_MS, number=at + 2)
    later = [replace(entry, offset=entry.offset + 1) for entry in CHAIN[at:]]
    assert told([*CHAIN[:at], added, *later]) == [("added", at, at)]


@given(st.integers(2, COUNT - 2), st.integers(1, 4))
def test_the_records_of_a_second_writer_never_counted(at: int, count: int) -> None:
    """Two agents that each take the partition for theirs: whoever was second is void, all of it."""
    second, previous = list[Entry](), CHAIN[at - 1].hash
    for number in range(count):
        entry = Entry(at + 1 + number, f"{number:064}", previous, NOW_MS, number=at + 1 + number)
        second.append(entry)
        previous = entry.hash
    later = [replace(entry, offset=entry.offset + count) for entry in CHAIN[at + 1 :]]
    walk = Walk("log", 3, kept_from_ms=0)
    assert [b for e in [*CHAIN[: at + 1], *second, *later] for b in walk.take(e)] == []
    assert walk.end() == []
    assert (walk.void_count, walk.count, walk.outcomes.total()) == (count, COUNT, COUNT)


@given(st.integers(0, COUNT - 1))
def test_a_record_that_was_sent_twice_is_one(at: int) -> None:
    later = [replace(entry, offset=entry.offset + 1) for entry in CHAIN[at:]]
    assert walked([*CHAIN[: at + 1], *later]) == []


@given(st.integers(0, COUNT - 1))
def test_a_wrong_mac_is_told_wherever_it_stands(at: int) -> None:
    forged = replace(CHAIN[at], is_forged=True)
    assert told([*CHAIN[:at], forged, *CHAIN[at + 1 :]]) == [("forged", at, at)]


def test_garbage_at_the_end_is_told() -> None:
    garbage = read_entry(COUNT, b"\xff not a decision", at_ms=NOW_MS, is_forged=True)
    assert told([*CHAIN, garbage]) == [("forged", COUNT, COUNT)]


@given(st.data())
def test_no_tampering_with_the_inside_goes_unseen(data: st.DataObject) -> None:
    """Any mix of changed, dropped and added records, its last record genuine."""
    mixed, is_tampered = list[Entry](), False
    for entry in CHAIN[:-1]:
        what = data.draw(st.sampled_from(["keep", "keep", "drop", "change", "add"]))
        is_first = not mixed
        is_tampered |= what in ("change", "add") or (what == "drop" and not is_first)
        if what == "add":
            name = f"{entry.offset:064}"
            mixed.append(Entry(entry.offset, name, "1" * 64, NOW_MS, number=entry.number + 1))
        if what in ("keep", "add"):
            mixed.append(entry)
        if what == "change":
            mixed.append(changed(entry))
    mixed.append(CHAIN[-1])
    if len(mixed) > 1:
        assert bool(walked(mixed)) == is_tampered


def test_a_gap_that_retention_made_is_no_break() -> None:
    gap = [*CHAIN[:3], *CHAIN[5:]]
    assert walked(gap, kept_from_ms=NOW_MS + COUNT) == []
    assert len(walked(gap)) == 1


def test_every_byte_of_a_record_counts() -> None:
    payload = some_payloads(1)[0]
    whole = read_entry(0, payload, at_ms=0)
    assert whole.hash == decision_hash(msgspec.json.decode(payload, type=LicenseDecision))
    for index in range(len(payload)):
        flipped = bytearray(payload)
        flipped[index] ^= 1
        assert read_entry(0, bytes(flipped), at_ms=0).hash != whole.hash
