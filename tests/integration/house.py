"""A deployment's keys, an enrolled gateway and packager, and agents on the real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import msgspec
from prometheus_client import CollectorRegistry

from agents.account.agent import AccountAgent
from agents.account.outbox import Outbox
from agents.account.passwords import Argon2Passwords
from agents.account.rules import AccountRules
from agents.account.vault import Vault
from agents.license.agent import LicenseAgent
from agents.license.key_delivery import PackagerTrust
from agents.license.key_encryption import KeyEncryptionKeys, KeyProvider
from agents.license.plans import POLICY, LicensePolicy
from agents.shell import Agent, ShellPorts
from infra.faults.secrecy import forms
from infra.keys.file_root import FileKeyProvider
from infra.keys.folder import KeyFolder
from infra.worker import WorkerPlan, faust_app
from schemas import codec
from schemas.accounts import Account, Credentials, Profile, credentials_info
from schemas.catalog import Title
from schemas.envelope import Role
from schemas.ids import derive_account_id
from schemas.subscriptions import Subscription
from streams.admin import apply_topics
from streams.broker import Broker
from streams.clock import steady_clock, system_clock
from streams.identity import Directory
from streams.metrics import WorkerMetrics
from streams.producer import Publisher
from streams.replies import Desk
from streams.requests import Asker
from streams.sealing import seal
from streams.topic import Topic
from streams.topics import ACCOUNTS, CATALOG_TITLES, GATEWAY_REPLIES, SIGNING_KEYS, TOPICS
from streams.view import View

OURS = {"account", "license", "operator", "packager", "agents"}
HOUSE_TOPICS = tuple(
    topic
    for topic in TOPICS
    if topic.writer in OURS or OURS & set(topic.readers) or topic.name.startswith("catalog")
)
"""What accounts and licenses write and read; making all topics takes seconds."""
RECOMMENDATION_TOPICS = (
    GATEWAY_REPLIES,
    *(topic for topic in TOPICS if "recommendation" in {topic.writer, *topic.readers}),
)
"""What the recommendation agent writes and reads."""


class House:
    """What the tests hold in their hands."""

    def __init__(self, broker: Broker, home: Path) -> None:
        self.broker = broker
        self.home = home
        self.keys = KeyFolder(home / "keys")
        self.keys.create()
        self.publisher = Publisher(broker, client_id="house", state_key=self.keys.state_key())
        self.enrolled: View[Any] = View(broker, SIGNING_KEYS, clock=system_clock)
        self.directory = Directory(self.enrolled, self.keys.root_public(), clock=system_clock)
        self.halted: list[BaseException] = []
        self.ports = ShellPorts(
            broker=broker,
            publisher=self.publisher,
            clock=system_clock,
            metrics=WorkerMetrics(CollectorRegistry()),
            halt=self.halted.append,
            state_key=self.keys.state_key(),
        )
        self.gateway = self._asker("gateway")
        self.packager = self._asker("packager")
        self.operator = self._asker("operator")

    def _asker(self, role: Role) -> Asker:
        identity = self.keys.identity(role)
        return Asker(self.broker, self.publisher, identity, self.directory, clock=system_clock)

    def another_gateway(self) -> Asker:
        """To be started and stopped by who asks for it."""
        return self._asker("gateway")

    def desk(self, role: Role) -> Desk:
        return Desk(self.publisher, self.keys.identity(role), self.directory, clock=system_clock)

    def account_id(self, email: str) -> str:
        return derive_account_id(self.keys.deployment_secret(), email)

    def sealed(self, account_id: str, **secrets: str) -> bytes:
        """Credentials as the gateway seals them."""
        enrolled = self.directory.current("account")
        assert enrolled is not None
        plaintext = codec.encode(Credentials(**secrets))
        return seal(plaintext, enrolled.sealing_key, credentials_info(account_id))

    def account_agent(self, *, trial_ms: int = 0) -> AccountAgent:
        return AccountAgent(
            self.ports,
            self.keys.identity("account"),
            self.desk("account"),
            vault=Vault(self.keys.account_key()),
            passwords=Argon2Passwords(memory_kib=1024, passes=1),
            mail=Outbox(self.home / "outbox"),
            rules=AccountRules(plans=frozenset(POLICY.plans), trial_ms=trial_ms),
        )

    def license_agent(
        self,
        policy: LicensePolicy = POLICY,
        packagers: PackagerTrust | None = None,
        *,
        roots: Sequence[KeyProvider] = (),
    ) -> LicenseAgent:
        """`roots`: who holds the root of content keys; default: the file of the key folder."""
        return LicenseAgent(
            self.ports,
            self.keys.identity("license"),
            self.desk("license"),
            keks=KeyEncryptionKeys(
                roots or (FileKeyProvider(self.keys.kek_root),), clock=steady_clock
            ),
            policy=policy,
            packagers=packagers,
        )

    @asynccontextmanager
    async def working(self, agent: Agent) -> AsyncIterator[faust.App]:
        """The agent in its Faust app, until left."""
        plan = WorkerPlan(
            name=agent.name,
            broker=self.broker,
            data_folder=self.home / "faust" / agent.name,
            announce=self.home / f"{agent.name}.json",
        )
        app = faust_app(plan)
        await agent.start()
        agent.attach(app)
        await app.start()
        try:
            yield app
        finally:
            await app.stop()
            await agent.stop()

    async def put_account(self, account_id: str = "account-1", **changes: Any) -> Account:
        """An account as the account agent would publish it."""
        account = Account(
            account_id=account_id,
            version=1,
            created_at_ms=0,
            subscription=Subscription(plan="standard", state="active", since_ms=0),
            profiles=(Profile(profile_id="profile-1", name="Ada", created_at_ms=0),),
        )
        account = msgspec.structs.replace(account, **changes)
        await self.publisher.publish(ACCOUNTS, account_id, account)
        return account

    async def put_title(self, title: Title) -> None:
        await self.publisher.publish(CATALOG_TITLES, title.content_id, title)

    async def records(self, topic: Topic, *, raw: bool = False) -> list[Any]:
        """Every record's value that is in the topic now."""
        found: list[Any] = []
        view: View[Any] = View(
            self.broker,
            msgspec.structs.replace(topic, value=bytes) if raw else topic,
            clock=system_clock,
            keep=False,
            on_record=lambda record: found.append(record.value),
        )
        await view.start()
        await view.stop()
        return found

    async def assert_no_topic_holds(self, keys: Collection[bytes]) -> None:
        """P7: no form of a key is readable in any record of any topic."""
        for topic in HOUSE_TOPICS:
            for value in await self.records(topic, raw=True):
                for key in keys:
                    assert not any(form in (value or b"") for form in forms(key)), topic.name


@asynccontextmanager
async def a_house(
    broker: Broker, home: Path, *, topics: Iterable[Topic] = HOUSE_TOPICS
) -> AsyncIterator[House]:
    """Topics made, everybody enrolled, who asks is listening."""
    await apply_topics(broker, topics=topics)
    house = House(broker, home)
    async with AsyncExitStack() as stack:
        askers = (house.gateway, house.packager, house.operator)
        for part in (house.publisher, house.enrolled, *askers):
            if part is house.enrolled:
                for enrollment in house.keys.enrollments(system_clock()):
                    await house.publisher.publish(SIGNING_KEYS, enrollment.key_id, enrollment)
            await part.start()
            stack.push_async_callback(part.stop)
        yield house
