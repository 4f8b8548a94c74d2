"""Accounts and licenses side by side on the real broker: what changes one ends the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents.account.history import history_of
from infra.keys.live import LiveIdentities
from schemas.accounts import (
    AccountView,
    ApplyBillingEvent,
    BillingOutcome,
    CreateProfile,
    Done,
    GetAccount,
    ProfileUnlocked,
    SetPin,
    SignIn,
    SignOut,
    SignUp,
    Tokens,
    UnlockProfile,
)
from schemas.sessions import EndSession, SessionClaims, SessionEnded, SessionOpened
from schemas.tokens import AUDIENCE, SESSION_TOKEN_S_MAX, SESSION_TYP
from streams.broker import Broker
from streams.clock import system_clock
from streams.identity import enroll
from streams.requests import RefusedError
from streams.tokens import TokenVerifier
from streams.topics import (
    ACCOUNT_EVENTS,
    ACCOUNT_REQUESTS,
    ACCOUNTS,
    SESSION_CONTROL,
    SIGNING_KEYS,
)
from tests.builders import a_title
from tests.integration.house import House, a_house
from tests.integration.test_license import an_open, ask

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path) as house:
        yield house


async def told(house: House, body: Any, answer: Any) -> Any:
    account_id = house.account_id(EMAIL)
    return await house.gateway.ask(ACCOUNT_REQUESTS, account_id, body, answer, deadline_ms=5_000)


async def a_viewer(house: House) -> AccountView:
    """Signed up, billed, with one profile."""
    account_id = house.account_id(EMAIL)
    sealed = house.sealed(account_id, email=EMAIL, password=PASSWORD)
    await told(house, SignUp(account_id=account_id, sealed=sealed), AccountView)
    event = ApplyBillingEvent(
        account_id=account_id,
        event_id="evt_1",
        event_type="subscription.activated",
        occurred_at_ms=system_clock(),
        plan="standard",
    )
    assert (await told(house, event, BillingOutcome)).outcome == "applied"
    assert (await told(house, event, BillingOutcome)).outcome == "repeated"
    create = CreateProfile(account_id=account_id, name="Ada")
    view: AccountView = await told(house, create, AccountView)
    return view


async def eventually_refused(house: House, session_id: str) -> str:
    """The reason for which gateways refuse the session; TimeoutError after 5 s."""
    async with asyncio.timeout(5):
        while True:
            for control in await house.records(SESSION_CONTROL):
                if control.session_id == session_id:
                    reason: str = control.reason
                    return reason
            await asyncio.sleep(0.1)


async def test_signing_out_everywhere_ends_sessions_within_seconds(house: House) -> None:
    await house.put_title(a_title())
    async with house.working(house.account_agent()), house.working(house.license_agent()):
        view = await a_viewer(house)
        sealed = house.sealed(view.account_id, email=EMAIL, password=PASSWORD)
        signed_in = SignIn(account_id=view.account_id, sealed=sealed)
        await told(house, signed_in, Tokens)
        known: AccountView = await told(house, GetAccount(account_id=view.account_id), AccountView)
        open_it = an_open(
            account_id=view.account_id,
            account_version=known.version,
            token_version=known.version,
            profile_id=view.profiles[0].profile_id,
        )
        opened: SessionOpened = await ask(house, open_it, SessionOpened)
        out = SignOut(account_id=view.account_id, everywhere=True)
        assert await told(house, out, Done) == Done()
        assert await eventually_refused(house, opened.session_id) == "signed-out"
        with pytest.raises(RefusedError, match="401 signed-out"):
            await ask(
                house,
                an_open(
                    account_id=view.account_id,
                    account_version=known.version + 1,
                    token_version=known.version,
                    profile_id=view.profiles[0].profile_id,
                ),
                SessionOpened,
            )
        again: Tokens = await told(house, signed_in, Tokens)
        assert again.expires_in == 900
    events = await house.records(ACCOUNT_EVENTS)
    (*_, account) = await house.records(ACCOUNTS)
    history = history_of(events, system_clock())
    assert history.is_complete
    assert history.account is not None
    assert history.account.version == account.version
    assert history.account.subscription == account.subscription


async def test_a_guarded_profile_opens_with_the_proof_of_its_pin(house: House) -> None:
    await house.put_title(a_title())
    async with house.working(house.account_agent()), house.working(house.license_agent()):
        view = await a_viewer(house)
        profile_id = view.profiles[0].profile_id
        sealed = house.sealed(view.account_id, pin="4711", password=PASSWORD)
        guard = SetPin(account_id=view.account_id, profile_id=profile_id, sealed=sealed)
        guarded: AccountView = await told(house, guard, AccountView)
        pin = house.sealed(view.account_id, pin="4711")
        unlock = UnlockProfile(account_id=view.account_id, profile_id=profile_id, sealed=pin)
        assert (await told(house, unlock, ProfileUnlocked)).profile_token
        question = an_open(
            account_id=view.account_id, account_version=guarded.version, profile_id=profile_id
        )
        with pytest.raises(RefusedError, match="403 profile-pin"):
            await ask(house, question, SessionOpened)
        proved = an_open(
            account_id=view.account_id,
            account_version=guarded.version,
            profile_id=profile_id,
            unlocked_pin_set_at_ms=guarded.profiles[0].pin_set_at_ms,
        )
        assert (await ask(house, proved, SessionOpened)).session_token


async def test_a_signing_key_is_rotated_while_sessions_open_and_none_is_refused(
    house: House,
) -> None:
    live = LiveIdentities(house.keys)
    agent = house.license_agent()
    agent._identity = live.identity("license")
    agent._desk._identity = live.identity("license")
    verifier: TokenVerifier[SessionClaims] = TokenVerifier(
        house.directory,
        "license",
        SessionClaims,
        typ=SESSION_TYP,
        audience=AUDIENCE,
        lifetime_s_max=SESSION_TOKEN_S_MAX,
        clock=system_clock,
    )
    await house.put_account()
    await house.put_title(a_title())
    tokens: list[str] = []

    async def open_one_after_another(stop: asyncio.Event) -> None:
        while not stop.is_set():
            opened: SessionOpened = await ask(house, an_open(), SessionOpened)
            tokens.append(opened.session_token)
            assert verifier.verify(opened.session_token).sid == opened.session_id
            end = EndSession(account_id="account-1", session_id=opened.session_id)
            await ask(house, end, SessionEnded)

    async with house.working(agent):
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(open_one_after_another(stop))
            signing_keys, before = house.keys.signing_keys(), live.identity("license").key_id
            following = enroll(house.keys.root(), signing_keys.prepare("license"), system_clock())
            await house.publisher.publish(SIGNING_KEYS, following.key_id, following)
            assert await house.enrolled.wait_until(
                lambda: house.directory.by_id(following.key_id) is not None, 5_000
            )
            signing_keys.retire("license", system_clock())
            live.look()
            for enrollment in house.keys.enrollments(system_clock()):
                await house.publisher.publish(SIGNING_KEYS, enrollment.key_id, enrollment)
            count = len(tokens)
            async with asyncio.timeout(10):
                while len(tokens) < count + 3:  # noqa: ASYNC110 - sessions are opened meanwhile
                    await asyncio.sleep(0.02)
            stop.set()
    assert live.identity("license").key_id != before
    for token in tokens:  # those of the old key, too
        assert verifier.verify(token).sid
