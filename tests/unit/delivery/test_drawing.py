from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.drawing import draw_order

NAMES = ("alpha", "beta", "gamma")
SESSIONS = [f"session-{n}" for n in range(10_000)]


def drawn(shares: dict[str, float]) -> list[str]:
    return [draw_order(session, shares, NAMES)[0] for session in SESSIONS]


def test_each_cdn_comes_first_as_often_as_its_share_says() -> None:
    counted = Counter(drawn({"alpha": 0.5, "beta": 0.3, "gamma": 0.2}))
    assert counted["alpha"] == pytest.approx(5000, rel=0.05)
    assert counted["gamma"] == pytest.approx(2000, rel=0.08)


def test_only_those_move_whose_cdn_lost_its_share() -> None:
    before = drawn({"alpha": 0.5, "beta": 0.3, "gamma": 0.2})
    after = drawn({"alpha": 0.0, "beta": 0.6, "gamma": 0.4})
    assert all(was == now for was, now in zip(before, after, strict=True) if was != "alpha")


@given(st.text(), st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1)))
def test_an_order_names_every_cdn_once_those_without_a_share_last(
    session: str, shares: dict[str, float]
) -> None:
    order = draw_order(session, shares, NAMES)
    assert sorted(order) == sorted(NAMES)
    assert order == draw_order(session, shares, NAMES)
    has_share = [bool(shares.get(name)) for name in order]
    assert has_share == sorted(has_share, reverse=True)
