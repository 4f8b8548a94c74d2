from datetime import UTC, datetime

import pytest

from agents.steering.outcomes import CdnOrigin, Outcome, outcome_of
from schemas.events import PlaybackError, PlaybackEvent
from tests.builders import NOW_MS, SESSION_ID, a_bandwidth

CDNS = (
    CdnOrigin(name="alpha", url="http://127.0.0.1:8081"),
    CdnOrigin(name="beta", url="http://localhost:8082/media"),
)


def outcome(event: PlaybackEvent, last_cdn: str | None = None) -> Outcome | None:
    return outcome_of(event, CDNS, NOW_MS, last_cdn)


def an_error(code: str, cdn: str = "") -> PlaybackError:
    return PlaybackError(
        session_id=SESSION_ID,
        sequence=1,
        at=datetime(2026, 11, 22, tzinfo=UTC),
        code=code,
        cdn=cdn,
    )


def test_the_cdn_comes_from_its_name_or_from_the_url() -> None:
    named = outcome(a_bandwidth(1, cdn="beta", status=200))
    assert named is not None
    assert named.cdn == "beta"
    by_url = outcome(a_bandwidth(1, status=200, url="http://LOCALHOST:8082/media/t/v/1.m4s"))
    assert by_url is not None
    assert by_url.cdn == "beta"
    assert outcome(a_bandwidth(1, status=200, url="http://127.0.0.1:9999/x")) is None
    assert outcome(a_bandwidth(1, status=200, url="http://[broken/x")) is None
    assert outcome(a_bandwidth(1, cdn="beta")) is None


@pytest.mark.parametrize("status", [0, 404, 408, 429, 500, 503, 599])
def test_failed_fetches_are_the_cdns_fault(status: int) -> None:
    found = outcome(a_bandwidth(1, cdn="alpha", status=status))
    assert found is not None
    assert found.is_error


@pytest.mark.parametrize("status", [200, 206, 304, 400, 401, 403])
def test_a_refused_session_is_not_the_cdns_fault(status: int) -> None:
    found = outcome(a_bandwidth(1, cdn="alpha", status=status))
    assert found is not None
    assert not found.is_error


def test_bytes_over_time_is_the_throughput() -> None:
    found = outcome(
        a_bandwidth(1, cdn="alpha", status=200, object_bytes=1000, transfer_ms=4, latency_ms=2)
    )
    assert found is not None
    assert found.throughput_kbps == 2000
    assert found.latency_ms == 2


def test_a_players_network_error_is_of_the_cdn_that_it_used_last() -> None:
    found = outcome(an_error("fragLoadError"), "alpha")
    assert found is not None
    assert (found.cdn, found.is_error) == ("alpha", True)
    named = outcome(an_error("1001", "beta"), "alpha")
    assert named is not None
    assert named.cdn == "beta"
    assert outcome(an_error("fragLoadError")) is None
    assert outcome(an_error("6007"), "alpha") is None
    assert outcome(an_error("manifestLoadError"), "alpha") is None
