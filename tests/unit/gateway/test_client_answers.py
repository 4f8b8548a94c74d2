from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_answers import (
    RETRY_AFTER_MS_MAX,
    Again,
    Refusal,
    Settled,
    Smaller,
    Unauthorized,
    Uncompressed,
    Verdict,
    judge,
)

SENT = 3
NOW_MS = 1_800_000_000_000  # Fri, 15 Jan 2027 08:00:00 GMT
UNKNOWN = Again(outcome="unknown")
REFUSAL = Refusal(index=1, status=400, reason="schema")


def _judge(status: int, told: Any, *, sent: int = SENT, **headers: str) -> Verdict:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judge(status, named, body, sent=sent, is_compressed=True, now_ms=NOW_MS)


def _refused(*places: int, status: int = 400) -> list[dict[str, Any]]:
    return [{"index": place, "status": status, "reason": "schema"} for place in places]


@pytest.mark.parametrize(
    ("status", "told", "verdict"),
    [
        (202, {"accepted": 3}, Settled()),
        (207, {"accepted": 2, "refused": _refused(1)}, Settled(refused=(REFUSAL,))),
        (207, {"accepted": 2, "refused": _refused(1, status=503)}, Settled(again=frozenset({1}))),
        (202, {"accepted": 2}, UNKNOWN),
        (202, b'{"accep', UNKNOWN),
        (200, {"accepted": 3}, UNKNOWN),
        (200, b"<h1>Welcome</h1>", UNKNOWN),
        (302, b"", UNKNOWN),
        (404, {"reason": "no-such-path"}, UNKNOWN),
        (207, {"accepted": 2, "refused": _refused(7)}, UNKNOWN),
        (207, {"accepted": 1, "refused": _refused(1, 1)}, UNKNOWN),
        (400, b"bad request of a proxy", UNKNOWN),
        (400, {"reason": "count"}, UNKNOWN),
        (400, {"reason": "not-json"}, Smaller()),
        (413, b"", Smaller()),
        (415, {"reason": "encoding"}, Uncompressed()),
        (400, {"reason": "truncated"}, Uncompressed()),
        (401, {"reason": "token"}, Unauthorized()),
        (403, {"reason": "role"}, Unauthorized()),
        (503, {"outcome": "unknown"}, UNKNOWN),
        (503, {"outcome": "not_stored"}, Again(outcome="not_stored")),
        (502, b"", UNKNOWN),
        (429, b"", Again(outcome="not_stored")),
        (408, b"", Again(outcome="not_stored")),
    ],
)
def test_an_answer_says_what_to_do(status: int, told: Any, verdict: Verdict) -> None:
    assert _judge(status, told) == verdict


def test_events_that_are_all_refused_are_settled_each_for_its_reason() -> None:
    verdict = _judge(403, {"reason": "refused", "refused": _refused(0, 1, 2, status=403)})
    assert isinstance(verdict, Settled)
    assert [each.index for each in verdict.refused] == [0, 1, 2]


@pytest.mark.parametrize("told", [{"reason": "not-json"}, {"reason": "schema"}])
def test_one_event_that_is_in_the_way_is_refused(told: Any) -> None:
    verdict = _judge(400, told, sent=1)
    assert verdict == Settled(refused=(Refusal(index=0, status=400, reason=told["reason"]),))


@pytest.mark.parametrize(
    ("value", "wait_ms"),
    [
        ("2", 2_000),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30_000),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("soon", 0),
        ("", 0),
        ("9" * 40, RETRY_AFTER_MS_MAX),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, wait_ms: int) -> None:
    verdict = _judge(503, {"outcome": "not_stored"}, Retry_After=value)
    assert verdict == Again(outcome="not_stored", wait_ms_min=wait_ms)


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=40)
    | st.fixed_dictionaries(
        {},
        optional={
            "accepted": st.integers(-1, 4) | st.text(max_size=2) | st.none(),
            "refused": st.lists(st.fixed_dictionaries({"index": st.integers(-1, 4)})) | st.none(),
            "reason": st.text(max_size=3) | st.none(),
            "outcome": st.sampled_from(["not_stored", "unknown", 1]),
        },
    ).map(lambda told: json.dumps(told).encode()),
    value=st.text(max_size=6),
)
def test_whatever_is_answered_no_event_is_thrown_away_without_a_word(
    status: int, body: bytes, value: str
) -> None:
    verdict = _judge(status, body, Retry_After=value)
    assert isinstance(verdict, get_args(Verdict))
    if isinstance(verdict, Settled) and not verdict.refused:
        assert status in {202, 207}
