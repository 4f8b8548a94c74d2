from __future__ import annotations

from msgspec.structs import replace

from agents.license.decisions import decide
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from schemas.licenses import LicenseDecision
from streams.chain import Chain, Standing, decision_hash
from tests.unit.license.facts import an_open, asking, some_knowledge


def some_decisions(count: int) -> list[LicenseDecision]:
    ledger, chain = Ledger(lease_ms=POLICY.lease_ms), Chain()
    return [
        chain.link(decide(ledger, an_open(n), some_knowledge(), asking(n)), 0)[0]
        for n in range(count)
    ]


def standings(decisions: list[LicenseDecision]) -> list[Standing]:
    chain = Chain()
    return [chain.follow(decision, 0, offset) for offset, decision in enumerate(decisions)]


def test_a_chain_is_followed_from_wherever_it_is_read() -> None:
    for start in (0, 2):
        assert set(standings(some_decisions(5)[start:])) == {Standing.NEXT}


def test_a_changed_or_removed_decision_is_noticed() -> None:
    decisions = some_decisions(5)
    changed = [*decisions[:2], replace(decisions[2], reason="tampered"), *decisions[3:]]
    removed = [*decisions[:2], *decisions[3:]]
    for tampered in (changed, removed):
        assert standings(tampered).count(Standing.BROKEN) == 1


def test_a_repeated_decision_does_not_count() -> None:
    decisions = some_decisions(5)
    found = standings([*decisions[:3], decisions[0], *decisions[3:]])
    assert found == [Standing.NEXT] * 3 + [Standing.VOID] + [Standing.NEXT] * 2


def test_a_copy_of_the_newest_voids_nothing_that_follows_it() -> None:
    """Whoever can write to Kafka can copy a record with its MAC."""
    decisions = some_decisions(5)
    found = standings([*decisions[:3], decisions[2], decisions[2], *decisions[3:]])
    assert found == [Standing.NEXT] * 3 + [Standing.VOID] * 2 + [Standing.NEXT] * 2


def test_decisions_from_before_they_had_numbers_count() -> None:
    log, chain = list[LicenseDecision](), Chain()
    for decision in some_decisions(3):
        previous = decision_hash(log[-1]) if log else ""
        log.append(replace(decision, previous=previous, number=0))
    assert standings(log) == [Standing.NEXT] * 3
    for offset, decision in enumerate(log):
        chain.follow(decision, 0, offset)
    linked, offset = chain.link(some_decisions(1)[0], 0)
    assert (linked.number, linked.previous, offset) == (1, decision_hash(log[-1]), 3)
    assert standings([*log, linked, replace(linked, number=0)])[3:] == [
        Standing.NEXT,
        Standing.VOID,
    ]


def test_partitions_have_chains_of_their_own() -> None:
    chain = Chain()
    first, second = some_decisions(2)
    assert chain.link(first, 0)[0].previous == ""
    assert chain.link(second, 1)[0].previous == ""
