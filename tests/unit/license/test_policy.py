from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license.cases import case_of
from agents.license.plans import POLICY, Terms
from agents.license.policy import explain, judge
from agents.license.quality import allowed_height
from agents.license.rules import RULES
from schemas.sessions import Device
from schemas.subscriptions import Subscription
from tests.builders import NOW_MS, a_rendition, a_title
from tests.unit.license.facts import an_account, some_facts


def test_a_viewer_with_everything_gets_what_the_plan_includes() -> None:
    verdict = judge(some_facts())
    assert verdict.is_granted
    assert verdict.tiers == ("audio", "sd", "hd")
    assert (verdict.max_height, verdict.max_bitrate_kbps) == (1080, 10_000)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("stale-account", {"account": None}),
        ("unknown-profile", {"profile_id": "another's"}),
        ("unknown-content", {"title": None}),
        ("subscription", {"account": an_account(state="cancelled")}),
        ("subscription", {"account": an_account(state="paused")}),
        ("subscription", {"account": an_account("none", "none")}),
        ("subscription", {"account": an_account(is_closed=True)}),
        ("plan", {"account": an_account("gold")}),
        ("plan", {"title": a_title(plans=("premium",))}),
        ("region", {"title": a_title(regions=("CH", "AT"))}),
        ("region", {"title": a_title(regions=("CH",)), "region": ""}),
        ("window", {"title": a_title(available_from_ms=NOW_MS + 1)}),
        ("window", {"title": a_title(available_until_ms=NOW_MS)}),
        ("maturity", {"profile_id": "child", "title": a_title(maturity=7)}),
        (
            "device",
            {
                "policy": replace(POLICY, terms=Terms(models_refused=("old",))),
                "device": Device(device_id="d", model="old"),
            },
        ),
        ("device-limit", {"known_device_ids": frozenset("abcde")}),
        ("concurrent-streams", {"other_session_ids": ("a", "b")}),
    ],
)
def test_each_rule_denies_with_its_reason(reason: str, changes: dict[str, Any]) -> None:
    facts = some_facts(**changes)
    assert judge(facts).reason == reason
    findings = explain(facts)
    assert [f.rule for f in findings if f.passed is False] == [reason]
    assert all(f.passed is None for f in findings[[f.passed for f in findings].index(False) + 1 :])


@pytest.mark.parametrize(
    "changes",
    [
        {"account": an_account(state="trial")},
        {"account": an_account(state="grace")},
        {"title": a_title(plans=("standard",), regions=("DE",))},
        {"title": a_title(available_from_ms=NOW_MS, available_until_ms=NOW_MS + 1)},
        {"profile_id": "child", "title": a_title(maturity=6)},
        {"known_device_ids": frozenset({"device-1", "b", "c", "d", "e"})},
        {"other_session_ids": ("a",)},
    ],
)
def test_the_edge_of_each_rule_is_granted(changes: dict[str, Any]) -> None:
    assert judge(some_facts(**changes)).is_granted


def test_a_subscription_ends_at_its_instant() -> None:
    until = Subscription(plan="basic", state="active", since_ms=0, until_ms=NOW_MS)
    assert judge(some_facts(account=an_account(subscription=until))).reason == "subscription"
    until = replace(until, until_ms=NOW_MS + 1)
    assert judge(some_facts(account=an_account(subscription=until))).is_granted


@pytest.mark.parametrize(
    ("plan", "device", "height", "tiers"),
    [
        ("basic", Device(device_id="d", max_height=4320), 480, ("audio", "sd")),
        ("premium", Device(device_id="d"), 2160, ("audio", "sd", "hd")),
        ("premium", Device(device_id="d", max_height=719), 719, ("audio", "sd")),
        ("premium", Device(device_id="d", hdcp="none"), 576, ("audio", "sd")),
        ("premium", Device(device_id="d", hdcp="1.4"), 1080, ("audio", "sd", "hd")),
        ("premium", Device(device_id="d", max_height=1), 240, ("audio", "sd")),
    ],
)
def test_what_a_device_says_only_lowers_what_the_plan_allows(
    plan: str, device: Device, height: int, tiers: tuple[str, ...]
) -> None:
    verdict = judge(some_facts(account=an_account(plan), device=device))
    assert (verdict.max_height, verdict.tiers) == (height, tiers)


@given(
    plan=st.sampled_from(sorted(POLICY.plans)),
    claimed=st.none() | st.integers(1, 16_384),
    hdcp=st.sampled_from(["", "none", "1.4", "2.2", "nonsense"]),
    ladder=st.lists(st.integers(1, 4_320), max_size=6),
)
def test_no_claim_raises_the_height_over_the_plans(
    plan: str, claimed: int | None, hdcp: str, ladder: list[int]
) -> None:
    device = Device(device_id="d", max_height=claimed, hdcp=hdcp)
    renditions = tuple(a_rendition(height, 100) for height in ladder)
    facts = some_facts(account=an_account(plan), device=device, title=a_title(video=renditions))
    assert allowed_height(case_of(facts)) <= POLICY.plans[plan].max_height


def test_every_rule_has_its_own_reason() -> None:
    assert len({rule.reason for rule in RULES}) == len(RULES)
