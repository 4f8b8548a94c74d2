"""What is judged: the facts as they go on record, under a policy, at a time; pure.

A rule sees a case and nothing else, so that whoever reads a decision later can judge it again.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.license.plans import LicensePolicy, Plan, Terms
from schemas.accounts import Account, Profile
from schemas.catalog import Tier, Title
from schemas.licenses import FACTS_REVISION, DecisionFacts, Rental
from schemas.revocations import RevokedKind
from schemas.sessions import Anonymizer, Device


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayFacts:
    """Everything that is known when a judgment is asked for."""

    now_ms: int
    policy: LicensePolicy
    account: Account | None
    profile_id: str
    title: Title | None
    device: Device
    region: str
    anonymizers: tuple[Anonymizer, ...] | None = None
    known_device_ids: frozenset[str] = frozenset()
    """Devices that the account registered before."""
    registered_public_key: str = ""
    """The device's, where it registered one."""
    other_session_ids: tuple[str, ...] = ()
    """Sessions of the account that hold a slot, without the one that is judged; oldest first."""
    rental: Rental | None = None
    """What the account has of the title."""
    revoked: RevokedKind | None = None
    """What of account, device and session was taken back."""
    token_version: int | None = None
    """The account's version in the access token of who opens a session."""
    opened_at_ms: int | None = None
    """Of the session that goes on; None: it is about to be opened."""
    unlocked_pin_set_at_ms: int | None = None
    """Of the proof that the profile's PIN was said."""
    is_opening: bool = True
    """A session is opened, which may stop older ones; False: one that there is goes on."""

    @property
    def profile(self) -> Profile | None:
        """The viewer, where the account has them."""
        profiles = self.account.profiles if self.account is not None else ()
        return next((p for p in profiles if p.profile_id == self.profile_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is judged: recorded facts, under a policy, at a time."""

    facts: DecisionFacts
    policy: LicensePolicy
    plan: Plan | None
    """The account's, as far as the policy knows it."""
    terms: Terms
    """The title's."""
    now_ms: int
    is_opening: bool

    @classmethod
    def of(
        cls,
        facts: DecisionFacts,
        policy: LicensePolicy,
        *,
        content_id: str,
        now_ms: int,
        is_opening: bool,
    ) -> Case:
        """With what the policy says of the account's plan and of the title."""
        return cls(
            facts=facts,
            policy=policy,
            plan=policy.plans.get(facts.plan),
            terms=policy.terms_of(content_id),
            now_ms=now_ms,
            is_opening=is_opening,
        )


def case_of(facts: PlayFacts) -> Case:
    """The facts as they go on record, and what they are judged by."""
    return Case.of(
        _recorded(facts),
        facts.policy,
        content_id=facts.title.content_id if facts.title is not None else "",
        now_ms=facts.now_ms,
        is_opening=facts.is_opening,
    )


def _is_signed_out(facts: PlayFacts) -> bool:
    """Token or session are from before the account's last sign-out of everything."""
    account = facts.account
    if account is None:
        return False
    if facts.opened_at_ms is not None:
        return facts.opened_at_ms < account.signed_out_at_ms
    return facts.token_version is not None and facts.token_version < account.signed_out_version


def _is_locked(facts: PlayFacts) -> bool:
    """A session goes on where its profile got its PIN later."""
    pin_set_at_ms = facts.profile.pin_set_at_ms if facts.profile is not None else None
    is_proved = pin_set_at_ms in (None, facts.unlocked_pin_set_at_ms)
    return not is_proved and facts.opened_at_ms is None


def _recorded(facts: PlayFacts) -> DecisionFacts:
    account, title, profile, device = facts.account, facts.title, facts.profile, facts.device
    subscription = account.subscription.at(facts.now_ms) if account is not None else None
    known = (("account", account), ("profile", profile), ("title", title))
    return DecisionFacts(
        revision=FACTS_REVISION,
        missing=tuple(name for name, each in known if each is None),  # type: ignore[misc]  # str to mypy: it joins literals
        plan=account.subscription.plan if account else "",
        subscription_state=subscription.state if subscription else "",
        subscription_until_ms=subscription.until_ms if subscription else None,
        is_closed=account.is_closed if account else False,
        is_signed_out=_is_signed_out(facts),
        is_locked=_is_locked(facts),
        revoked=facts.revoked or "",
        region=facts.region,
        anonymizers=facts.anonymizers,
        title_regions=title.regions if title else (),
        title_plans=title.plans if title else (),
        tier_heights=_tier_heights(title) if title else {},
        available_from_ms=title.available_from_ms if title else None,
        available_until_ms=title.available_until_ms if title else None,
        title_maturity=title.maturity if title else 0,
        profile_maturity=profile.maturity if profile else 0,
        rental=facts.rental,
        device_id=device.device_id,
        device_model=device.model,
        device_max_height=device.max_height,
        device_hdcp=device.hdcp,
        device_robustness=device.robustness,
        is_registered=device.device_id in facts.known_device_ids,
        device_public_key=device.public_key,
        registered_public_key=facts.registered_public_key,
        device_count=len(facts.known_device_ids),
        stream_count=len(facts.other_session_ids),
        running_session_ids=facts.other_session_ids,
        lease_ms=facts.policy.lease_ms,
        title_version=title.version if title else 0,
        account_version=account.version if account else 0,
    )


def _tier_heights(title: Title) -> dict[Tier, int]:
    heights: dict[Tier, int] = {}
    for rendition in title.video:
        lowest = heights.get(rendition.tier, rendition.height)
        heights[rendition.tier] = min(lowest, rendition.height)
    return heights
