"""A rental begins at first sight, its playback with the first license; nothing moves its ends."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license.decisions import Knowledge, decide
from agents.license.ledger import Ledger
from agents.license.plans import POLICY, Terms
from agents.license.rentals import folded
from schemas.licenses import LicenseDecision, Rental
from schemas.sessions import EndSession, ExtendSession, GetEntitlement, GetKeys
from tests.builders import NOW_MS, SD_KEY
from tests.unit.license.facts import KEY_TIERS, an_open, asking, some_knowledge

DAY_MS = 86_400_000
SD = next(key_id for key_id, place in KEY_TIERS.items() if place == ("tears", "sd"))
RENTED_MS, PLAYED_MS = 30 * DAY_MS, 2 * DAY_MS
ends = st.none() | st.integers(0, 100)
rentals = st.builds(
    Rental, first_seen_at_ms=st.just(0), rented_until_ms=ends, playback_until_ms=ends
)


class Story:
    """One account and its log."""

    def __init__(self, **terms: Any) -> None:
        self.terms = Terms(**({"rental_ms": RENTED_MS, "playback_ms": PLAYED_MS} | terms))
        self.log: list[LicenseDecision] = []
        self.ledger = Ledger(lease_ms=POLICY.lease_ms)

    @property
    def knowledge(self) -> Knowledge:
        policy = replace(POLICY, titles={"tears": self.terms})
        return dataclasses.replace(some_knowledge(), policy=policy)

    def ask(self, request: Any, at_ms: int) -> LicenseDecision:
        place = asking(len(self.log), now_ms=NOW_MS + at_ms)
        decision = decide(self.ledger, request, self.knowledge, place)
        self.ledger.apply(decision)
        self.log.append(decision)
        return decision

    def open(self, number: int, at_ms: int, content_id: str = "tears") -> LicenseDecision:
        return self.ask(an_open(number, content_id=content_id), at_ms)

    def keys(self, number: int, at_ms: int) -> LicenseDecision:
        session_id = f"session-{number}"
        request = GetKeys(account_id="account-1", session_id=session_id, key_ids=(SD,))
        return self.ask(request, at_ms)

    def rental(self) -> Rental | None:
        return self.ledger.rental("account-1", "tears")


def test_a_rental_runs_from_first_sight_and_playback_from_the_first_license() -> None:
    story = Story()
    assert story.open(1, 0).rental == Rental(
        first_seen_at_ms=NOW_MS, rented_until_ms=NOW_MS + RENTED_MS
    )
    story.ask(EndSession(account_id="account-1", session_id="session-1"), 1)
    late = RENTED_MS - 1
    assert story.open(2, late).rental == story.log[0].rental
    assert story.keys(2, late).rental == Rental(
        first_seen_at_ms=NOW_MS,
        rented_until_ms=NOW_MS + RENTED_MS,
        playback_until_ms=NOW_MS + late + PLAYED_MS,
    )
    assert story.keys(2, late + DAY_MS // 2).outcome == "granted", "begun in time, it may be ended"
    assert story.open(3, late + PLAYED_MS).reason == "rental"


def test_what_nobody_began_to_play_in_time_is_over() -> None:
    story = Story()
    story.open(1, 0)
    assert story.open(2, RENTED_MS - 1).outcome == "granted"
    assert story.open(3, RENTED_MS).reason == "rental"
    assert story.keys(2, RENTED_MS).reason == "rental"
    assert story.open(4, RENTED_MS, "other").outcome == "granted"


def test_a_session_outlives_neither_the_rental_nor_its_playback() -> None:
    story = Story(rental_ms=DAY_MS // 4, playback_ms=0)
    opened = story.open(1, 0)
    assert opened.session is not None
    assert opened.session.expires_at_ms == NOW_MS + DAY_MS // 4
    extend = ExtendSession(account_id="account-1", session_id="session-1")
    extended = story.ask(extend, 1000)
    assert extended.session is not None
    assert extended.session.expires_at_ms == NOW_MS + DAY_MS // 4


def test_an_upstream_license_ends_with_playback() -> None:
    story = Story(playback_ms=3_600_000)
    story.open(1, 0)
    request = GetEntitlement(
        account_id="account-1", session_id="session-1", system="widevine", key_ids=(SD_KEY,)
    )
    entitlement = story.ask(request, 0).entitlement
    assert entitlement is not None
    assert entitlement.expires_at_ms == NOW_MS + 3_600_000


@pytest.mark.parametrize(("persistent", "days"), [(True, 10), (False, 1)])
def test_only_a_license_that_is_kept_outlives_its_session(persistent: bool, days: int) -> None:
    story = Story(license_ms=10 * DAY_MS, is_persistent=persistent, rental_ms=0, playback_ms=0)
    story.open(1, 0)
    request = GetEntitlement(
        account_id="account-1", session_id="session-1", system="widevine", key_ids=(SD_KEY,)
    )
    entitlement = story.ask(request, 0).entitlement
    assert entitlement is not None
    assert (entitlement.expires_at_ms, entitlement.is_persistent) == (
        NOW_MS + days * DAY_MS,
        persistent,
    )


def test_an_older_record_that_was_copied_into_the_log_takes_no_beginning_back() -> None:
    story = Story()
    opened = story.open(1, 0)
    began = story.keys(1, 1000).rental
    story.ledger.apply(opened, is_recent=False)
    again = Ledger(lease_ms=POLICY.lease_ms)
    for decision in (*story.log, opened):
        again.apply(decision, is_recent=False)
    assert story.rental() == again.rental("account-1", "tears") == began


def test_a_denied_request_rents_nothing() -> None:
    story = Story(regions_refused=("DE",))
    assert story.open(1, 0).reason == "region"
    assert story.rental() is None


def test_terms_that_change_do_not_move_what_began() -> None:
    story = Story()
    began = story.open(1, 0).rental
    story.terms = Terms(rental_ms=60_000)
    assert story.open(2, 120_000).rental == began


@given(
    st.lists(
        st.tuples(st.sampled_from(["open", "keys", "end"]), st.integers(0, 3), st.integers(0, 3)),
        max_size=20,
    )
)
def test_the_log_tells_the_rental_however_often_it_is_read(
    moves: list[tuple[str, int, int]],
) -> None:
    story, now_ms = Story(rental_ms=3_000, playback_ms=2_000), 0
    for kind, number, passes in moves:
        now_ms += passes * 700
        if kind == "open":
            story.open(number, now_ms)
        elif kind == "keys":
            story.keys(number, now_ms)
        else:
            story.ask(EndSession(account_id="account-1", session_id=f"session-{number}"), now_ms)
    again = Ledger(lease_ms=POLICY.lease_ms)
    for decision in [*story.log, *story.log]:
        again.apply(decision, is_recent=False)
    assert again.rental("account-1", "tears") == story.rental()
    rental = story.rental()
    if rental is not None:
        granted = [d for d in story.log if d.outcome == "granted" and d.key_ids_granted]
        last = rental.ends_at_ms
        assert last is not None
        assert all(d.decided_at_ms < last for d in granted)


@given(rentals, rentals)
def test_a_copy_of_an_older_record_takes_no_beginning_back(known: Rental, told: Rental) -> None:
    kept = folded(known, told)
    assert kept in (known, told)
    if known.playback_until_ms is not None:
        assert kept == known
