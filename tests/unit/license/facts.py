"""Facts of a viewer who may play everything; a test changes what it is about."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agents.license.cases import PlayFacts
from agents.license.decisions import Asking, Knowledge
from agents.license.plans import POLICY
from schemas.accounts import Account, Profile
from schemas.catalog import Tier, Title
from schemas.sessions import Device, OpenSession
from schemas.subscriptions import Subscription, SubscriptionState
from tests.builders import NOW_MS, a_title

KEY_TIERS: dict[str, tuple[str, Tier]] = {
    "a" * 32: ("tears", "audio"),
    "b" * 32: ("tears", "sd"),
    "c" * 32: ("tears", "hd"),
    "d" * 32: ("other", "sd"),
}


def an_account(
    plan: str = "standard", state: SubscriptionState = "active", **changes: Any
) -> Account:
    account = Account(
        account_id="account-1",
        version=1,
        created_at_ms=0,
        subscription=Subscription(plan=plan, state=state, since_ms=0),
        profiles=(
            Profile(profile_id="profile-1", name="Ada", created_at_ms=0),
            Profile(profile_id="child", name="Kid", maturity=6, created_at_ms=0),
        ),
    )
    return replace(account, **changes)


def some_facts(**changes: Any) -> PlayFacts:
    given: dict[str, Any] = {
        "now_ms": NOW_MS,
        "policy": POLICY,
        "account": an_account(),
        "profile_id": "profile-1",
        "title": a_title(),
        "device": Device(device_id="device-1"),
        "region": "DE",
    }
    return PlayFacts(**(given | changes))


def some_knowledge(account: Account | None = None, **titles: Title) -> Knowledge:
    return Knowledge(
        policy=POLICY,
        account=account or an_account(),
        titles=titles or {"tears": a_title(), "other": a_title("other")},
        key_tiers=KEY_TIERS,
    )


def asking(number: int, *, now_ms: int = NOW_MS) -> Asking:
    return Asking(now_ms=now_ms, decision_id=f"decision-{number}", request_id=f"request-{number}")


def an_open(number: int, **changes: Any) -> OpenSession:
    request = OpenSession(
        session_id=f"session-{number}",
        account_id="account-1",
        account_version=1,
        profile_id="profile-1",
        content_id="tears",
        device=Device(device_id="device-1"),
        region="DE",
    )
    return replace(request, **changes)
