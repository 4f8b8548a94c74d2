"""The comparison finds each kind of breach, in whatever company; and nothing where nothing is."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from infra.faults.ledger import Account, ClientLedger, Sent, Told, read_accounts
from infra.faults.payloads import INVALID_FROM, SOURCE, Posted, make_event, make_invalid
from infra.faults.reconcile import Findings, Reconciled, Row, compare_session

SESSION = "01a205ac-e3af-7307-a7e1-981e73d9a77f"
OTHER = "01a205ac-e3af-7307-a7e1-981e73d9a780"


def posted(sequence: int) -> Posted:
    return make_event(SESSION, sequence, 1_790_000_000_000, random.Random(sequence)).posted


def row(sequence: int, *, offset: int | None = None) -> Row:
    """As it must be stored."""
    event = posted(sequence)
    at = sequence if offset is None else offset
    return Row(SOURCE, sequence, event.id, event.digest, "playback.events.v1", 3, at)


def account(*, acked: int = 4, doubtful: int = 2) -> Account:
    """An orderly session: so many events acknowledged, then so many in doubt, one refused."""
    return Account(
        is_orderly=True,
        acked={n: posted(n) for n in range(acked)},
        doubtful={n: posted(n) for n in range(acked, acked + doubtful)},
        rejected={INVALID_FROM: Posted(INVALID_FROM, "", "")},
    )


def found(rows: list[Row]) -> Findings:
    result = Reconciled()
    compare_session(result, SESSION, account(), rows)
    return result.findings


def only(**counts: int) -> Findings:
    return Findings(**counts)


GOOD = [row(n) for n in range(4)]


def test_everything_acknowledged_once_is_clean_with_or_without_what_is_in_doubt() -> None:
    assert found(GOOD).is_clean
    assert found([*GOOD, row(4)]).is_clean
    assert found([*GOOD, row(4), row(5)]).is_clean


def test_an_acknowledged_event_that_is_absent_is_lost() -> None:
    assert found(GOOD[1:]) == only(lost=1)


def test_a_second_row_is_a_double_for_acknowledged_and_doubtful_events() -> None:
    assert found([*GOOD, row(3, offset=9)]) == only(doubled=1)
    assert found([*GOOD, row(4), row(4, offset=9)]) == only(doubled=1)


def test_a_row_that_nobody_sent_is_a_phantom() -> None:
    assert found([*GOOD, row(77)]) == only(phantoms=1)
    assert found([*GOOD, row(3)._replace(source="another", offset=9)]).phantoms == 1


def test_a_refused_event_must_not_be_there() -> None:
    assert found([*GOOD, row(3)._replace(sequence=INVALID_FROM, offset=9)]) == only(
        refused_stored=1
    )


def test_another_payload_or_id_is_told() -> None:
    assert found([*GOOD[:3], GOOD[3]._replace(digest="0" * 64)]) == only(altered=1)
    assert found([*GOOD[:3], GOOD[3]._replace(id="other")]) == only(altered=1)


def test_a_later_event_before_an_earlier_one_is_disorder() -> None:
    assert found([row(0), row(1, offset=8), row(2), row(3)]).out_of_order == 1


async def test_the_ledger_tells_what_each_session_knows(tmp_path: Path) -> None:
    ledger = ClientLedger(tmp_path / "ledger")
    chance = random.Random(1)
    invalid = make_invalid(SESSION, 0, 1, chance).posted
    batches = [(1, SESSION, (posted(0), invalid)), (2, SESSION, (posted(1),))]
    batches += [(3, OTHER, (posted(2),)), (4, SESSION, (posted(3),))]
    for number, session_id, events in batches:
        await ledger.write(
            Sent(batch=number, session_id=session_id, source=SOURCE, is_orderly=True, events=events)
        )
    await ledger.write(Told(batch=1, session_id=SESSION, outcome="unknown"))
    await ledger.write(Told(batch=1, session_id=SESSION, outcome="acked"))
    await ledger.write(Told(batch=1, session_id=SESSION, outcome="unavailable"))  # sent again
    await ledger.write(Told(batch=2, session_id=SESSION, outcome="unavailable"))
    await ledger.write(Told(batch=3, session_id=OTHER, outcome="acked"))
    on_disk = ledger.path.read_bytes().count(b"\n")
    ledger.close()
    accounts = dict(read_accounts(ledger.path, tmp_path / "spool"))
    assert on_disk == len(batches) + 5
    assert accounts.keys() == {SESSION, OTHER}
    assert set(accounts[SESSION].acked) == {0}
    assert set(accounts[SESSION].doubtful) == {1, 3}
    assert set(accounts[SESSION].rejected) == {INVALID_FROM}
    assert set(accounts[OTHER].acked) == {2}


def test_every_promise_is_told_in_the_report() -> None:
    from infra.faults.report import PROMISES

    assert {name for name, _ in PROMISES} == set(msgspec.structs.asdict(Findings()))
