"""What a policy says of titles: each term denies, narrows or frees as its description tells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license.cases import PlayFacts
from agents.license.plans import POLICY, LicensePolicy, Terms
from agents.license.policy import explain, judge
from schemas.licenses import Rental
from schemas.sessions import Device
from tests.builders import NOW_MS, a_title
from tests.unit.license.facts import an_account, some_facts

HOUR_MS = 3_600_000


def on_terms(**terms: Any) -> LicensePolicy:
    return replace(POLICY, terms=Terms(**terms))


def facts_on(terms: dict[str, Any], **changes: Any) -> PlayFacts:
    return some_facts(policy=on_terms(**terms), **changes)


def at(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def a_tv(**changes: Any) -> Device:
    return replace(Device(device_id="tv", model="AFTMM-2"), **changes)


@pytest.mark.parametrize(
    ("reason", "terms", "changes"),
    [
        ("region", {"regions_allowed": ("AT", "CH")}, {}),
        ("region", {"regions_allowed": ("DE",)}, {"region": ""}),
        ("region", {"regions_allowed": ("DE",)}, {"title": a_title(regions=("AT",))}),
        ("region", {"regions_refused": ("DE",)}, {}),
        ("region", {"regions_refused": ("FR",)}, {"region": ""}),
        ("anonymizer", {"anonymizers_refused": ("vpn",)}, {"anonymizers": ("hosting", "vpn")}),
        ("window", {"rights_from": at(NOW_MS + 1000)}, {}),
        ("window", {"rights_until": at(NOW_MS)}, {}),
        (
            "window",
            {"rights_until": at(NOW_MS + 1000)},
            {"title": a_title(available_until_ms=NOW_MS)},
        ),
        ("plan", {"plans": ("premium",)}, {}),
        ("maturity", {"maturity": 7}, {"profile_id": "child"}),
        ("device", {"models_refused": ("AFT*",)}, {"device": a_tv()}),
        ("device", {"models_allowed": ("AFT*",)}, {"device": a_tv(model="web")}),
        ("device", {"models_allowed": ("*",)}, {"device": a_tv(model="")}),
        ("tier", {"tiers": ("audio",)}, {}),
        ("tier", {"clear_key_tiers": ("audio",), "tiers": ("audio", "hd")}, {}),
        (
            "rental",
            {"rental_ms": HOUR_MS},
            {"rental": Rental(first_seen_at_ms=0, rented_until_ms=NOW_MS)},
        ),
        (
            "rental",
            {"rental_ms": HOUR_MS, "playback_ms": HOUR_MS},
            {
                "rental": Rental(
                    first_seen_at_ms=0, rented_until_ms=NOW_MS + 1, playback_until_ms=NOW_MS
                )
            },
        ),
    ],
)
def test_each_term_denies_with_its_rule(
    reason: str, terms: dict[str, Any], changes: dict[str, Any]
) -> None:
    facts = facts_on(terms, **changes)
    assert judge(facts).reason == reason
    (failed,) = [finding for finding in explain(facts) if finding.passed is False]
    assert failed.rule == reason
    assert failed.found


@pytest.mark.parametrize(
    ("terms", "changes"),
    [
        ({"regions_allowed": ("DE", "AT")}, {}),
        ({"regions_refused": ("FR",)}, {}),
        ({"anonymizers_refused": ("vpn", "tor")}, {"anonymizers": ("hosting",)}),
        ({"anonymizers_refused": ("vpn",)}, {"anonymizers": None}),
        ({"rights_from": at(NOW_MS), "rights_until": at(NOW_MS + 1000)}, {}),
        ({"plans": ()}, {"title": a_title(plans=("premium",))}),
        ({"maturity": 6}, {"profile_id": "child", "title": a_title(maturity=18)}),
        ({"models_allowed": ("AFT*",)}, {"device": a_tv()}),
        (
            {"rental_ms": HOUR_MS, "playback_ms": HOUR_MS},
            {
                "rental": Rental(
                    first_seen_at_ms=0, rented_until_ms=NOW_MS - 1, playback_until_ms=NOW_MS + 1
                )
            },
        ),
        ({}, {"rental": Rental(first_seen_at_ms=0, rented_until_ms=NOW_MS - 1)}),
    ],
)
def test_the_edge_of_each_term_is_granted(terms: dict[str, Any], changes: dict[str, Any]) -> None:
    assert judge(facts_on(terms, **changes)).is_granted


def test_a_titles_own_terms_stand_in_place_of_those_of_every_title() -> None:
    policy = replace(
        POLICY,
        terms=Terms(regions_allowed=("AT",)),
        titles={"tears": Terms(regions_allowed=("DE",), max_height=480)},
    )
    verdict = judge(some_facts(policy=policy))
    assert (verdict.is_granted, verdict.max_height) == (True, 480)
    assert judge(some_facts(policy=policy, title=a_title("other"))).reason == "region"


@pytest.mark.parametrize(
    ("clear", "device", "session", "by_clear_key", "by_upstream"),
    [
        # HD by ClearKey is allowed by default, whatever the device says of its DRM.
        (("audio", "sd", "hd", "uhd"), {}, "audio sd hd", "audio sd hd", "audio sd hd"),
        (
            ("audio", "sd", "hd", "uhd"),
            {"robustness": "software"},
            "audio sd hd",
            "audio sd hd",
            "audio sd",
        ),
        # Forbidden, HD is left to devices that say that they have what it needs.
        (("audio", "sd"), {}, "audio sd", "audio sd", "audio sd"),
        (("audio", "sd"), {"robustness": "software"}, "audio sd", "audio sd", "audio sd"),
        (("audio", "sd"), {"robustness": "hardware"}, "audio sd hd", "audio sd", "audio sd hd"),
        (
            ("audio", "sd"),
            {"robustness": "hardware", "hdcp": "1.3"},
            "audio sd",
            "audio sd",
            "audio sd",
        ),
    ],
)
def test_quality_follows_the_devices_security_and_who_gives_the_keys(
    clear: tuple[str, ...],
    device: dict[str, Any],
    session: str,
    by_clear_key: str,
    by_upstream: str,
) -> None:
    verdict = judge(facts_on({"clear_key_tiers": clear}, device=a_tv(**device)))
    assert verdict.tiers == tuple(session.split())
    assert verdict.tiers_for("clearkey") == tuple(by_clear_key.split())
    assert verdict.tiers_for("device") == verdict.tiers_for("identity") == verdict.clear_key_tiers
    assert verdict.tiers_for("widevine") == tuple(by_upstream.split())


@given(
    plan=st.sampled_from(["basic", "standard", "premium"]),
    robustness=st.sampled_from(["", "software", "hardware"]),
    hdcp=st.sampled_from(["", "none", "1.4", "2.2"]),
    tiers=st.sets(st.sampled_from(["audio", "sd", "hd", "uhd"])),
    clear=st.sets(st.sampled_from(["audio", "sd", "hd", "uhd"])),
)
def test_no_claim_of_a_device_brings_a_clear_key_that_the_terms_forbid(
    plan: str, robustness: Any, hdcp: str, tiers: set[Any], clear: set[Any]
) -> None:
    facts = facts_on(
        {"tiers": tuple(tiers), "clear_key_tiers": tuple(clear)},
        account=an_account(plan),
        device=a_tv(robustness=robustness, hdcp=hdcp),
    )
    verdict = judge(facts)
    assert set(verdict.clear_key_tiers) <= clear & tiers & set(verdict.tiers)
    assert set(verdict.upstream_tiers) <= tiers & set(verdict.tiers)
    assert set(verdict.tiers) <= set(verdict.clear_key_tiers) | set(verdict.upstream_tiers)


def test_what_is_granted_ends_with_the_first_right_that_ends() -> None:
    title = a_title(available_until_ms=NOW_MS + 3 * HOUR_MS)
    assert judge(some_facts(title=title)).rights_until_ms == NOW_MS + 3 * HOUR_MS
    rented = facts_on({"rental_ms": HOUR_MS, "playback_ms": HOUR_MS}, title=title)
    assert judge(rented).rights_until_ms == NOW_MS + 2 * HOUR_MS
    sooner = facts_on({"rights_until": at(NOW_MS + 1000)}, title=title)
    assert judge(sooner).rights_until_ms == NOW_MS + 1000
    assert judge(some_facts()).rights_until_ms is None


def test_the_oldest_stream_makes_room_only_for_a_session_that_is_opened() -> None:
    policy = replace(POLICY, concurrency="stop-oldest")
    full = some_facts(policy=policy, other_session_ids=("old", "new"))
    assert judge(full).stopped_session_ids == ("old",)
    too_many = some_facts(policy=policy, other_session_ids=("a", "b", "c"))
    assert judge(too_many).stopped_session_ids == ("a", "b")
    room = some_facts(policy=policy, other_session_ids=("old",))
    assert judge(room).stopped_session_ids == ()
    going_on = some_facts(policy=policy, other_session_ids=("a", "b"), is_opening=False)
    assert judge(going_on).reason == "concurrent-streams"
    denied = judge(some_facts(policy=policy, other_session_ids=("a", "b"), region="", title=None))
    assert denied.stopped_session_ids == ()
