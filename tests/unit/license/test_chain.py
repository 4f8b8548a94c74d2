from __future__ import annotations

from msgspec.structs import replace

from agents.license.chain import Chain
from agents.license.decisions import decide
from agents.license.ledger import Ledger
from agents.license.plans import POLICY
from schemas.licenses import LicenseDecision
from tests.unit.license.facts import an_open, asking, some_knowledge


def some_decisions(count: int) -> list[LicenseDecision]:
    ledger, chain = Ledger(lease_ms=POLICY.lease_ms), Chain()
    return [
        chain.link(decide(ledger, an_open(n), some_knowledge(), asking(n)), 0) for n in range(count)
    ]


def test_a_chain_is_followed_from_wherever_it_is_read() -> None:
    for start in (0, 2):
        chain = Chain()
        assert all(chain.follow(decision, 0) for decision in some_decisions(5)[start:])
        assert chain.broken_count == 0


def test_a_changed_removed_or_repeated_decision_is_noticed() -> None:
    decisions = some_decisions(5)
    changed = [*decisions[:2], replace(decisions[2], reason="tampered"), *decisions[3:]]
    removed = [*decisions[:2], *decisions[3:]]
    repeated = [*decisions[:3], decisions[0], *decisions[3:]]
    for tampered in (changed, removed, repeated):
        chain = Chain()
        for decision in tampered:
            chain.follow(decision, 0)
        assert chain.broken_count > 0


def test_partitions_have_chains_of_their_own() -> None:
    chain = Chain()
    first, second = some_decisions(2)
    assert chain.link(first, 0).previous == ""
    assert chain.link(second, 1).previous == ""
