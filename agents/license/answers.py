"""What follows from a decision: what is answered, what is published about its sessions."""

from __future__ import annotations

from typing import Final

import msgspec

from agents.license.ledger import Household
from agents.license.policy import STATUS
from schemas.accounts import Done
from schemas.envelope import Refused
from schemas.errors import InvalidMessageError
from schemas.licenses import BoundKeys, ClearKey, LicenseDecision
from schemas.sessions import (
    Devices,
    Session,
    SessionClaims,
    SessionControl,
    SessionEnded,
)
from schemas.tokens import AUDIENCE, ISSUER
from streams.binding import Transcript, bind_keys, read_public_key

_TOLD_AS: Final = {"unknown-key": "foreign-key"}
"""Whether a key id that is not the content's exists elsewhere is not told."""


def refusal(decision: LicenseDecision) -> Refused:
    """A denial as its asker hears it."""
    assert decision.outcome == "denied"
    facts: dict[str, str | int | list[str]] = {}
    if decision.reason == "concurrent-streams":
        facts["limit"] = decision.facts.stream_limit
        facts["sessions"] = list(decision.facts.running_session_ids)
    elif decision.reason == "device-limit":
        facts["limit"] = decision.facts.device_limit
    return Refused(
        status=STATUS.get(decision.reason, 403),
        reason=_TOLD_AS.get(decision.reason, decision.reason),
        facts=facts,
    )


def session_claims(decision: LicenseDecision) -> SessionClaims:
    """The session token's claims; the same for the same decision, so that it is answered alike."""
    session = decision.session
    assert session is not None, "only a granted open or extension has a token"
    return SessionClaims(
        iss=ISSUER,
        aud=AUDIENCE,
        jti=decision.decision_id,
        iat=decision.decided_at_ms // 1000,
        exp=session.expires_at_ms // 1000,
        sid=session.session_id,
        account_id=session.account_id,
        profile_id=session.profile_id,
        content_id=session.content_id,
        title_version=decision.facts.title_version,
        tiers=session.tiers,
        max_height=session.max_height,
        max_bitrate_kbps=session.max_bitrate_kbps,
        region=session.region,
        plan=session.plan,
        maturity=decision.facts.profile_maturity,
        device_id=session.device.device_id,
        device_model=session.device.model,
        os=session.device.os,
        player=session.device.player,
        asn=session.asn,
        network=session.network,
    )


def bound_keys(keys: tuple[ClearKey, ...], session: Session, nonce: str) -> BoundKeys | Refused:
    """The keys, readable for the session's device alone; refused where its key is none."""
    key_ids = tuple(key.key_id for key in keys)
    device = session.device
    transcript = Transcript(
        session_id=session.session_id, device_id=device.device_id, nonce=nonce, key_ids=key_ids
    )
    try:
        sealed = bind_keys(keys, read_public_key(device.public_key), transcript)
    except InvalidMessageError:
        return Refused(status=403, reason="device-key")
    return BoundKeys(key_ids=key_ids, device_id=device.device_id, sealed=sealed)


def plain_answer(decision: LicenseDecision) -> SessionEnded | Done:
    """The answer to what carries neither token nor keys."""
    if decision.action == "end":
        return SessionEnded(session_id=decision.session_id)
    return Done()


def sessions_of(decision: LicenseDecision, household: Household) -> tuple[Session, ...]:
    """The sessions that the decision opened, extended or ended, as they are now.

    `household` has the decision applied. A redelivered decision publishes the same again.
    """
    if decision.outcome == "granted" and decision.session is not None:
        stopped = (household.sessions.get(each) for each in decision.stopped_session_ids)
        return (decision.session, *(running.session for running in stopped if running is not None))
    return tuple(
        running.session
        for running in household.sessions.values()
        if running.session.ended_at_ms == decision.decided_at_ms
        and decision.session_id in ("", running.session.session_id)
    )


def controls_of(sessions: tuple[Session, ...]) -> tuple[SessionControl, ...]:
    """What gateways and edges refuse from now on."""
    return tuple(
        SessionControl(
            session_id=session.session_id,
            is_refused=True,
            reason=session.ended_reason,
            at_ms=session.ended_at_ms,
        )
        for session in sessions
        if session.ended_at_ms is not None
    )


def devices_of(household: Household, running_ids: tuple[str, ...]) -> Devices:
    """The account's devices with the sessions that hold a slot on them, latest first."""
    listed = []
    for device in household.devices.values():
        session_ids = tuple(
            session_id
            for session_id in running_ids
            if household.sessions[session_id].session.device.device_id == device.device_id
        )
        listed.append(msgspec.structs.replace(device, session_ids=session_ids))
    listed.sort(key=lambda device: device.last_seen_at_ms, reverse=True)
    return Devices(devices=tuple(listed))
