"""What the agent publishes and answers, its log and its desk in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agents.account.agent import AccountAgent
from agents.account.outbox import Outbox
from agents.account.passwords import Checked
from agents.account.rules import AccountRules
from agents.account.vault import Vault
from agents.shell import ShellPorts
from schemas import codec
from schemas.accounts import (
    Account,
    AccountRequest,
    AccountView,
    CreateProfile,
    Credentials,
    Done,
    GetDeviceNames,
    NameDevice,
    ProfileUnlocked,
    RequestPasswordReset,
    SetPin,
    SignIn,
    SignUp,
    UnlockProfile,
    credentials_info,
)
from schemas.envelope import Refused, Request
from schemas.secrets import SecretBytes
from schemas.tokens import AUDIENCE, PROFILE_TOKEN_S, PROFILE_TYP, ProfileClaims
from streams.broker import Broker
from streams.identity import Identity
from streams.producer import UnavailableError
from streams.records import Record
from streams.sealing import seal
from streams.tokens import TokenVerifier
from streams.topics import ACCOUNT_EVENTS, ACCOUNT_KEYS, ACCOUNT_REQUESTS, ACCOUNTS
from tests.gateway_fakes import MemoryClock, MemoryDesk, MemoryDirectory, MemoryPublisher
from tests.unit.account.story import ACCOUNT_ID, PASSWORD

EMAIL = "ada@example.org"


class CountedPasswords:
    """Hashes by a prefix; counts the work."""

    def __init__(self) -> None:
        self.hashed = 0

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return f"hash:{password}"

    async def check(self, password: str, password_hash: str) -> Checked:
        self.hashed += 1
        return Checked(matches=password_hash == f"hash:{password}")


class House:
    """One agent after another, on one log."""

    def __init__(self, folder: Path) -> None:
        self.clock = MemoryClock()
        self.publisher = MemoryPublisher(self.clock)
        self.passwords = CountedPasswords()
        self.desk = MemoryDesk()
        self.outbox = folder / "outbox"
        self.identity = Identity(
            "account-1", "account", Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        )
        self.asked = 0
        self.agent = self.start()

    def start(self) -> AccountAgent:
        """A process that has read the log."""
        desk: Any = self.desk
        publisher: Any = self.publisher
        nobody: Any = None
        ports = ShellPorts(
            broker=Broker(bootstrap="", namespace=""),
            publisher=publisher,
            clock=self.clock,
            metrics=nobody,
            halt=nobody,
        )
        self.agent = AccountAgent(
            ports,
            self.identity,
            desk,
            vault=Vault(SecretBytes(b"v" * 32)),
            passwords=self.passwords,
            mail=Outbox(self.outbox),
            rules=AccountRules(plans=frozenset({"premium"})),
            alike_ms=0,
        )
        for key in self.publisher.values(ACCOUNT_KEYS):
            self.agent._vault.data_keys.take(_record(ACCOUNT_KEYS.name, key, key.account_id))
        for account in self.accounts:
            self.agent._accounts.take(_record(ACCOUNTS.name, account, account.account_id))
        return self.agent

    @property
    def accounts(self) -> list[Account]:
        return self.publisher.values(ACCOUNTS)

    @property
    def facts(self) -> list[str]:
        return [event.fact for event in self.publisher.values(ACCOUNT_EVENTS)]

    def sealed(self, account_id: str = ACCOUNT_ID, **credentials: str) -> bytes:
        public = self.identity.sealing.public_key().public_bytes_raw()
        text = codec.encode(Credentials(**credentials))
        return seal(text, public, credentials_info(account_id))

    async def ask(self, command: AccountRequest) -> Any:
        self.asked += 1
        request = Request(
            request_id=f"request-{self.asked}",
            sender="gateway-1",
            not_after_ms=10**15,
            reply_partition=0,
            reply_key=b"",
            body=msgspec.Raw(codec.encode(command)),
        )
        work = self.agent.handle(_record(ACCOUNT_REQUESTS.name, request, command.account_id))
        assert work is not None
        await work
        return self.desk.answers[-1]

    async def sign_up(self) -> Any:
        sealed = self.sealed(email=EMAIL, password=PASSWORD)
        return await self.ask(SignUp(account_id=ACCOUNT_ID, sealed=sealed))

    async def sign_in(self, password: str = PASSWORD, account_id: str = ACCOUNT_ID) -> Any:
        sealed = self.sealed(account_id, email=EMAIL, password=password)
        return await self.ask(SignIn(account_id=account_id, sealed=sealed))

    async def make_profile(self) -> str:
        view: AccountView = await self.ask(
            CreateProfile(account_id=ACCOUNT_ID, name="Ada", maturity=18)
        )
        return view.profiles[-1].profile_id

    async def set_pin(self, profile_id: str, pin: str, password: str = PASSWORD) -> Any:
        sealed = self.sealed(pin=pin, password=password)
        return await self.ask(SetPin(account_id=ACCOUNT_ID, profile_id=profile_id, sealed=sealed))

    async def unlock(self, profile_id: str, pin: str) -> Any:
        sealed = self.sealed(pin=pin)
        return await self.ask(
            UnlockProfile(account_id=ACCOUNT_ID, profile_id=profile_id, sealed=sealed)
        )


def _record(topic: str, value: Any, key: str) -> Record[Any]:
    return Record(topic, 0, 0, key, value, 0, {})


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_sign_up_of_an_address_that_has_an_account_looks_and_costs_alike(
    house: House,
) -> None:
    first = await house.sign_up()
    spent, published = house.passwords.hashed, len(house.publisher.rows[ACCOUNTS.name])
    again = await house.sign_up()
    assert again == first
    assert house.passwords.hashed == 2 * spent
    assert len(house.publisher.rows[ACCOUNTS.name]) == 2 * published
    assert house.facts == ["account_created", "sign_up_repeated"]
    (message,) = house.outbox.glob("*.json")
    assert msgspec.json.decode(message.read_bytes())["kind"] == "sign_up_repeated"


async def test_sign_ins_and_resets_tell_nothing_about_an_address(house: House) -> None:
    await house.sign_up()
    stranger = "00000000-0000-8000-8000-000000000000"
    answers, costs = [], []
    for account_id in (ACCOUNT_ID, stranger):
        before = house.passwords.hashed
        answers.append(await house.sign_in("a wrong password", account_id))
        costs.append(house.passwords.hashed - before)
    assert (
        answers[0]
        == answers[1]
        == Refused(status=400, reason="invalid-grant", detail="wrong, expired or already used")
    )
    assert costs == [1, 1]
    for account_id in (ACCOUNT_ID, stranger):
        sealed = house.sealed(account_id, email=EMAIL)
        command = RequestPasswordReset(account_id=account_id, sealed=sealed)
        assert await house.ask(command) == Done()


async def test_what_could_tell_waits_until_it_looks_alike(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("agents.account.agent.asyncio.sleep", sleep)
    house.agent._alike_ms = 250
    await house.sign_up()
    await house.sign_in("a wrong password")
    stranger = "00000000-0000-8000-8000-000000000000"
    await house.sign_in("a wrong password", stranger)
    for account_id in (ACCOUNT_ID, stranger):
        sealed = house.sealed(account_id, email=EMAIL)
        await house.ask(RequestPasswordReset(account_id=account_id, sealed=sealed))
    assert waited == [0.25] * 5
    await house.sign_in()
    assert len(waited) == 5  # who is let in need not wait


async def test_events_that_were_not_told_are_told_before_the_next_version(house: House) -> None:
    """The process ends between the account's record and its events."""
    real = house.publisher.publish

    async def dies_before_events(topic: Any, key: str, value: Any, **more: Any) -> Any:
        if topic is ACCOUNT_EVENTS:
            raise UnavailableError("unknown", "the broker is away")
        return await real(topic, key, value, **more)

    house.publisher.publish = dies_before_events  # type: ignore[method-assign]  # as if it died there
    with pytest.raises(UnavailableError):
        await house.sign_up()
    house.publisher.publish = real  # type: ignore[method-assign]
    assert (len(house.accounts), house.facts) == (1, [])
    house.start()
    await house.sign_in()
    assert house.facts == ["account_created", "signed_in"]
    await house.sign_in()
    assert house.facts == ["account_created", "signed_in", "signed_in"]


async def test_a_pin_unlocks_by_a_token_that_says_which_and_stands_nowhere(house: House) -> None:
    await house.sign_up()
    profile_id = await house.make_profile()
    view = await house.set_pin(profile_id, "4711")
    assert isinstance(view, AccountView)
    unlocked = await house.unlock(profile_id, "4711")
    assert isinstance(unlocked, ProfileUnlocked)
    directory: Any = MemoryDirectory()
    directory.identities["account"] = house.identity
    verifier: TokenVerifier[ProfileClaims] = TokenVerifier(
        directory,
        "account",
        ProfileClaims,
        typ=PROFILE_TYP,
        audience=AUDIENCE,
        lifetime_s_max=PROFILE_TOKEN_S,
        clock=house.clock,
    )
    claims = verifier.verify(unlocked.profile_token)
    assert (claims.sub, claims.profile_id) == (ACCOUNT_ID, profile_id)
    assert claims.pin_set_at_ms == view.profiles[0].pin_set_at_ms
    for rows in house.publisher.rows.values():
        assert not any(b"4711" in value for _, value in rows)


async def test_guesses_of_a_pin_wait_longer_and_longer_and_hinder_no_other_profile(
    house: House,
) -> None:
    await house.sign_up()
    first, second = await house.make_profile(), await house.make_profile()
    for profile_id in (first, second):
        await house.set_pin(profile_id, "4711")
    for _ in range(5):
        assert (await house.unlock(first, "0000")).reason == "pin"
    assert (await house.unlock(first, "4711")).status == 429
    assert isinstance(await house.unlock(second, "4711"), ProfileUnlocked)
    house.clock.now_ms += 2_000
    assert isinstance(await house.unlock(first, "4711"), ProfileUnlocked)


async def test_a_pin_is_no_way_around_the_throttle_of_passwords(house: House) -> None:
    await house.sign_up()
    profile_id = await house.make_profile()
    for _ in range(5):
        assert (await house.set_pin(profile_id, "4711", "a wrong password")).reason == "owner"
    assert (await house.set_pin(profile_id, "4711")).status == 429
    assert (await house.sign_in()).status == 429


async def test_a_devices_name_lies_sealed(house: House) -> None:
    await house.sign_up()
    sealed = house.sealed(device_name="Ada's television")
    command = NameDevice(account_id=ACCOUNT_ID, device_id="tv", sealed=sealed)
    assert await house.ask(command) == Done()
    house.start()
    named = await house.ask(GetDeviceNames(account_id=ACCOUNT_ID))
    assert named.names == {"tv": "Ada's television"}
    for rows in house.publisher.rows.values():
        assert not any(b"television" in value for _, value in rows)
    for number in range(40):
        sealed = house.sealed(device_name=f"device {number}")
        await house.ask(NameDevice(account_id=ACCOUNT_ID, device_id=str(number), sealed=sealed))
    names = (await house.ask(GetDeviceNames(account_id=ACCOUNT_ID))).names
    assert len(names) == 32
    assert "39" in names
    assert "tv" not in names
