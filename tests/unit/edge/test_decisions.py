"""The edge's view of what was decided, and the headers that come of it."""

import pytest

from infra.edge.cmsd import CMCD_CHARS_MAX, cmsd_dynamic, raw_cmcd
from infra.edge.cors import is_local_caller, is_loopback, object_headers
from infra.edge.decisions import DecisionView
from infra.edge.gateway_link import BACK_OFF_S_MAX, back_off_s
from schemas.delivery import EdgeDecision


def test_the_last_ceiling_of_a_session_holds() -> None:
    view = DecisionView()
    view.apply(EdgeDecision(session_id="s", ceiling_kbps=900))
    view.apply(EdgeDecision(session_id="s", ceiling_kbps=500))
    assert view.ceiling_kbps("s") == 500
    assert not view.is_refused("s")


def test_an_unknown_session_is_neither_limited_nor_refused() -> None:
    view = DecisionView()
    assert view.ceiling_kbps("s") is None
    assert not view.is_refused("s")


def test_a_neutral_decision_forgets_the_session() -> None:
    view = DecisionView()
    view.apply(EdgeDecision(session_id="s", is_refused=True))
    assert view.is_refused("s")
    view.apply(EdgeDecision(session_id="s"))
    assert not view.is_refused("s")
    assert len(view) == 0


def test_the_longest_unchanged_session_is_forgotten_when_full() -> None:
    view = DecisionView(sessions_max=2)
    for session_id in ("a", "b", "a", "c"):
        view.apply(EdgeDecision(session_id=session_id, ceiling_kbps=500))
    assert view.ceiling_kbps("b") is None
    assert view.ceiling_kbps("a") == view.ceiling_kbps("c") == 500


def test_the_ceiling_is_told_as_a_list_of_one_hop() -> None:
    assert cmsd_dynamic("alpha", 800) == '"edge-alpha";mb=800'


def test_cmcd_headers_win_over_the_query() -> None:
    headers = {"CMCD-Session": 'sid="x"', "CMCD-Object": "br=900"}
    assert raw_cmcd({"CMCD": "br=1"}, headers) == 'br=900,sid="x"'
    assert raw_cmcd({"CMCD": "br=1"}, {}) == "br=1"
    assert raw_cmcd({}, {}) == ""


def test_an_overlong_cmcd_set_is_dropped_whole() -> None:
    assert raw_cmcd({"CMCD": "a" * (CMCD_CHARS_MAX + 1)}, {}) == ""


def test_waiting_doubles_up_to_its_bound() -> None:
    waits = [back_off_s(failures) for failures in range(50)]
    assert waits[:3] == [0.25, 0.5, 1.0]
    assert waits == sorted(waits)
    assert waits[-1] == BACK_OFF_S_MAX


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_is_known_by_name_and_address(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    ("remote", "host", "origin", "is_local"),
    [
        ("127.0.0.1", "127.0.0.1:8081", None, True),
        ("127.0.0.1", "localhost:8082", "http://127.0.0.1:8080", True),
        ("::1", "[::1]:8081", "http://localhost:8080", True),
        ("127.0.0.1", "127.0.0.1:8081", "https://evil.example", False),
        ("127.0.0.1", "rebound.example:8081", None, False),
        ("127.0.0.1", "127.0.0.1:8081", "null", False),
        ("192.0.2.7", "127.0.0.1:8081", None, False),
        (None, "127.0.0.1", None, False),
    ],
)
def test_only_this_machine_may_use_the_switches(
    remote: str | None, host: str, origin: str | None, is_local: bool
) -> None:
    headers = {"Host": host} | ({"Origin": origin} if origin is not None else {})
    assert is_local_caller(remote, headers) is is_local


def test_players_may_read_the_headers_that_steer_them() -> None:
    headers = object_headers("http://127.0.0.1:8080")
    assert headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:8080"
    for name in ("CMSD-Static", "CMSD-Dynamic", "Retry-After", "Date", "Content-Length"):
        assert name in headers["Access-Control-Expose-Headers"]
