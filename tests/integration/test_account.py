"""Accounts on the real broker: gateway → Kafka → account agent → Kafka → gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infra.faults.secrecy import forms
from schemas.accounts import (
    AccountView,
    CreateProfile,
    Done,
    EnsureAccount,
    GetAccount,
    Refresh,
    RequestPasswordReset,
    ResetPassword,
    SetSubscription,
    SignIn,
    SignOut,
    SignUp,
    Tokens,
)
from schemas.tokens import ACCESS_TOKEN_S, ACCESS_TYP, AUDIENCE, AccessClaims, account_of_token
from streams.broker import Broker
from streams.clock import system_clock
from streams.requests import RefusedError
from streams.tokens import TokenVerifier
from streams.topics import ACCOUNT_EVENTS, ACCOUNT_REQUESTS, ACCOUNTS
from tests.integration.house import HOUSE_TOPICS, House, a_house

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
NAME = "Countess of Lovelace"


@pytest.fixture
async def house(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(broker, tmp_path) as house:
        yield house


class Viewer:
    """Somebody with an address, at the gateway's side."""

    def __init__(self, house: House, email: str = EMAIL, password: str = PASSWORD) -> None:
        self.house, self.email, self.password = house, email, password
        self.account_id = house.account_id(email)

    async def ask(self, body: Any, answer: Any, **options: Any) -> Any:
        asked = self.house.gateway.ask(
            ACCOUNT_REQUESTS, self.account_id, body, answer, **{"deadline_ms": 5_000, **options}
        )
        return await asked

    def sealed(self, **secrets: str) -> bytes:
        return self.house.sealed(self.account_id, **secrets)

    async def sign_up(self, plan: str = "") -> AccountView:
        sealed = self.sealed(email=self.email, password=self.password)
        command = SignUp(account_id=self.account_id, sealed=sealed, plan=plan)
        answer: AccountView = await self.ask(command, AccountView)
        return answer

    async def sign_in(self, password: str = "", **options: Any) -> Tokens:
        sealed = self.sealed(email=self.email, password=password or self.password)
        command = SignIn(account_id=self.account_id, sealed=sealed)
        answer: Tokens = await self.ask(command, Tokens, **options)
        return answer

    async def refresh(self, token: str) -> Tokens:
        command = Refresh(
            account_id=account_of_token(token), sealed=self.sealed(refresh_token=token)
        )
        answer: Tokens = await self.ask(command, Tokens)
        return answer


def verifier(house: House) -> TokenVerifier[AccessClaims]:
    return TokenVerifier(
        house.directory,
        "account",
        AccessClaims,
        typ=ACCESS_TYP,
        audience=AUDIENCE,
        lifetime_s_max=ACCESS_TOKEN_S,
        clock=system_clock,
    )


async def test_a_viewer_signs_up_in_on_and_out_and_comes_back_after_a_restart(
    house: House,
) -> None:
    viewer = Viewer(house)
    async with house.working(house.account_agent()):
        first = await viewer.sign_up()
        assert await viewer.sign_up() == first  # nobody learns that the address has an account
        tokens = await viewer.sign_in()
        claims = verifier(house).verify(tokens.access_token)
        assert (claims.sub, claims.ver, claims.exp - claims.iat) == (viewer.account_id, 3, 900)
        named = viewer.sealed(profile_name=NAME)
        create = CreateProfile(account_id=viewer.account_id, sealed=named, maturity=12)
        assert (await viewer.ask(create, AccountView)).profiles[0].name == NAME
        billing = SetSubscription(account_id=viewer.account_id, plan="premium", state="active")
        await viewer.ask(billing, AccountView)
    async with house.working(house.account_agent()):  # from the log alone
        fresh = await viewer.refresh(tokens.refresh_token)
        with pytest.raises(RefusedError, match="invalid-grant"):
            await viewer.refresh(tokens.refresh_token)
        with pytest.raises(RefusedError, match="invalid-grant"):
            await viewer.refresh(fresh.refresh_token)
        view = await viewer.ask(GetAccount(account_id=viewer.account_id), AccountView)
        assert (view.plan, view.subscription_state) == ("premium", "active")
        signed_in = await viewer.sign_in()
        family = verifier(house).verify(signed_in.access_token).fam
        out = SignOut(account_id=viewer.account_id, family=family)
        assert await viewer.ask(out, Done) == Done()
        with pytest.raises(RefusedError, match="invalid-grant"):
            await viewer.refresh(signed_in.refresh_token)
    facts = [event.fact for event in await house.records(ACCOUNT_EVENTS)]
    assert facts == [
        "account_created",
        "sign_up_repeated",
        "signed_in",
        "profile_created",
        "subscription_changed",
        "subscription_changed",  # again: the second process cannot know that the first told it
        "tokens_refreshed",
        "refresh_token_reused",
        "signed_in",
        "signed_out",
    ]
    await assert_no_topic_holds(house, EMAIL, PASSWORD, NAME, tokens.refresh_token)


async def assert_no_topic_holds(house: House, *secrets: str) -> None:
    """Neither address nor password nor token is readable in any record of any topic."""
    for topic in HOUSE_TOPICS:
        for value in await house.records(topic, raw=True):
            for secret in secrets:
                assert not any(f in (value or b"") for f in forms(secret.encode())), topic.name


async def test_wrong_passwords_are_slowed_down_whether_the_account_exists_or_not(
    house: House,
) -> None:
    async with house.working(house.account_agent()):
        await Viewer(house).sign_up()
        for viewer in (Viewer(house), Viewer(house, "nobody@example.org")):
            for _ in range(5):
                with pytest.raises(RefusedError, match="400 invalid-grant"):
                    await viewer.sign_in("a wrong password")
            with pytest.raises(RefusedError, match="429 too-many-attempts"):
                await viewer.sign_in()


async def test_a_password_is_reset_with_what_lies_in_the_outbox(house: House) -> None:
    viewer, stranger = Viewer(house), Viewer(house, "nobody@example.org")
    async with house.working(house.account_agent()):
        await viewer.sign_up()
        for asker in (viewer, stranger):
            command = RequestPasswordReset(
                account_id=asker.account_id, sealed=asker.sealed(email=asker.email)
            )
            assert await asker.ask(command, Done) == Done()
        outbox = house.home / "outbox"
        async with asyncio.timeout(5):
            while not list(outbox.glob("*.json")):  # noqa: ASYNC110 - a file is waited for
                await asyncio.sleep(0.02)
        (path,) = outbox.glob("*.json")
        message = json.loads(path.read_bytes())
        assert message["email"] == EMAIL
        assert account_of_token(message["token"]) == viewer.account_id
        reset = ResetPassword(
            account_id=viewer.account_id,
            sealed=viewer.sealed(reset_token=message["token"], password="another password"),
        )
        assert await viewer.ask(reset, Done) == Done()
        with pytest.raises(RefusedError, match="invalid-grant"):
            await viewer.sign_in()
        assert (await viewer.sign_in("another password")).token_type == "Bearer"


async def test_an_outside_identity_gets_its_account_at_first_use(house: House) -> None:
    viewer = Viewer(house)
    async with house.working(house.account_agent()):
        with pytest.raises(RefusedError, match="404 unknown-account"):
            await viewer.ask(GetAccount(account_id=viewer.account_id), AccountView)
        ensure = EnsureAccount(account_id=viewer.account_id)
        views = await asyncio.gather(*(viewer.ask(ensure, AccountView) for _ in range(5)))
        assert {view.version for view in views} == {1}


async def test_a_copied_older_record_or_a_forged_one_changes_no_account(house: House) -> None:
    viewer = Viewer(house)
    async with house.working(house.account_agent()):
        await viewer.sign_up()
        await viewer.sign_in()
    old, new = await house.records(ACCOUNTS)
    await house.publisher.publish(ACCOUNTS, viewer.account_id, old)
    forged = msgspec.json.encode(msgspec.structs.replace(new, version=99, sealed=b""))
    await house.publisher.publish_raw(
        ACCOUNTS.name,
        viewer.account_id.encode(),
        forged,
        {"mac": b"x" * 32},
        0,
    )
    async with house.working(house.account_agent()):
        await viewer.sign_in()
        view = await viewer.ask(GetAccount(account_id=viewer.account_id), AccountView)
        assert view.version == 3
