"""What of the ledger is a loss, and what only looks like one."""

import pytest

from infra.canary.probe import ProbeReport
from infra.operations.doctor.path import AGE_MS_MAX, judge_canary
from infra.operations.ledger import LedgerLine, judge_ledger

MINUTE_MS = 60_000


def a_line(minute: int, **changes: object) -> LedgerLine:
    counts = dict.fromkeys(
        ("duplicates", "conflicts", "dead_letters", "refused", "unavailable", "shed"), 0
    )
    values: dict[str, object] = {
        "minute_ms": minute * MINUTE_MS,
        "topic": "playback.events.v1",
        "accepted": 10,
        "in_log": 10,
        "stored": 10,
        "unauthenticated": 0,
        "complete_until_ms": 100 * MINUTE_MS,
        "is_complete": True,
        **counts,
        **changes,
    }
    return LedgerLine(**values)  # type: ignore[arg-type]  # built of defaults and changes


def test_what_balances_is_no_alert() -> None:
    lines = [a_line(1), a_line(2, stored=7, duplicates=2, conflicts=1), a_line(3)]
    assert judge_ledger(lines) == []


def test_a_missing_event_is_an_alert_that_names_its_minutes() -> None:
    lines = [a_line(4), a_line(3, stored=8), a_line(2, stored=9), a_line(1)]
    (wrong,) = judge_ledger(lines)
    assert (wrong.topic, wrong.missing) == ("playback.events.v1", 3)
    assert (wrong.first_minute_ms, wrong.last_minute_ms) == (2 * MINUTE_MS, 3 * MINUTE_MS)


def test_an_open_minute_and_the_newest_one_are_not_judged() -> None:
    assert judge_ledger([a_line(1, stored=0, is_complete=False), a_line(2)]) == []
    assert judge_ledger([a_line(1), a_line(2, stored=9)]) == []


def test_a_dead_letter_may_stand_in_the_next_minute() -> None:
    lines = [a_line(1, stored=9), a_line(2, dead_letters=1), a_line(3)]
    assert judge_ledger(lines) == []


def test_a_surplus_elsewhere_hides_no_loss() -> None:
    """A gateway that was killed told nothing of its last minute."""
    lines = [a_line(1, accepted=0), a_line(2, stored=9), a_line(3, accepted=0), a_line(4)]
    assert [wrong.missing for wrong in judge_ledger(lines)] == [1]


@pytest.mark.parametrize(
    ("report", "is_ok"),
    [
        (None, True),
        (ProbeReport(at_ms=0, license_ms=1, event_ms=2), True),
        (ProbeReport(at_ms=0, error="no", failures_in_row=1), True),
        (ProbeReport(at_ms=0, error="no", failures_in_row=2), False),
        (ProbeReport(at_ms=-AGE_MS_MAX - 1, license_ms=1, event_ms=2), False),
        (ProbeReport(at_ms=0, is_idle=True), True),
    ],
)
def test_the_canary_is_bad_when_it_fails_twice_or_falls_silent(
    report: ProbeReport | None, is_ok: bool
) -> None:
    assert judge_canary(report, 0).is_ok is is_ok
