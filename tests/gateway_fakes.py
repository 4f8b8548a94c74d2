"""A gateway's ports in memory: typed fakes that keep what they are given."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, ItemsView, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.config import GatewayConfig
from gateway.delivery.viewer import Cdn
from gateway.feed import Feed
from gateway.ports import GatewayPorts, GatewayViews
from schemas import codec
from schemas.bitrate import BitrateDecision
from schemas.catalog import Title
from schemas.envelope import Enrollment, Refused, Request, Role
from schemas.experiments import Experiment
from schemas.ids import uuid7
from schemas.recommendations import Recommendations
from schemas.revocations import Revocation
from schemas.secrets import SecretBytes
from schemas.sessions import SessionClaims, SessionControl
from schemas.steering import SteeringDecision
from schemas.tokens import (
    ACCESS_TOKEN_S,
    ACCESS_TYP,
    ADMIN_TOKEN_S_MAX,
    ADMIN_TYP,
    AUDIENCE,
    ISSUER,
    PROFILE_TOKEN_S,
    PROFILE_TYP,
    SESSION_TOKEN_S_MAX,
    SESSION_TYP,
    AccessClaims,
    AdminClaims,
    AdminRole,
    ProfileClaims,
)
from streams.identity import Identity
from streams.producer import Receipt, UnavailableError
from streams.records import Record
from streams.replies import Asked
from streams.requests import NoAnswerError, RefusedError
from streams.tokens import TokenVerifier, issue
from streams.topic import Topic

V = TypeVar("V")
NOW_MS = 1_800_000_000_000


class MemoryClock:
    """Stands still until it is moved."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


class MemoryDesk:
    """Takes every request, keeps every answer."""

    def __init__(self) -> None:
        self.answers: list[Any] = []

    def open(self, record: Record[Request]) -> Asked:
        return Asked(record.value, record, "gateway")

    def is_late(self, _: Request) -> bool:
        return False

    async def reply(self, _: Asked, answer: msgspec.Struct) -> None:
        self.answers.append(answer)


class MemoryPublisher:
    """Keeps what was published, by topic name; away, it raises what the log would."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.rows: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
        self.away: UnavailableError | None = None
        self.delay: Callable[[], Awaitable[object]] | None = None
        self.last_acknowledged_at_ms = 0
        self.unacknowledged_bytes = 0

    async def publish(
        self, topic: Topic, key: str, value: Any, *, headers: Mapping[str, bytes] | None = None
    ) -> Receipt:
        data = value if isinstance(value, bytes) else codec.encode(value)
        await self.publish_many(topic, [(key, data)])
        return Receipt(0, len(self.rows[topic.name]) - 1)

    async def publish_many(self, topic: Topic, rows: Sequence[tuple[str, bytes]]) -> None:
        if self.delay is not None:
            await self.delay()
        if self.away is not None:
            raise self.away
        self.rows[topic.name] += rows
        self.last_acknowledged_at_ms = self._clock()

    async def is_reachable(self, *, timeout_ms: int = 1_000) -> bool:
        return self.away is None

    def values(self, topic: Topic) -> list[Any]:
        """The decoded values of a topic, in order."""
        decoder: codec.Decoder[Any] = codec.Decoder(topic.value)
        return [decoder.decode(value) for _, value in self.rows[topic.name]]


class MemoryAsker:
    """Answers by the question's type; a Refused is raised, as the real one does."""

    def __init__(self) -> None:
        self.answers: dict[type, Callable[[Any], Any]] = {}
        self.asked: list[tuple[str, str, msgspec.Struct]] = []

    async def ask(
        self,
        topic: Topic,
        key: str,
        body: msgspec.Struct,
        answer: Any,
        *,
        deadline_ms: int = 2000,
        request_id: str | None = None,
    ) -> Any:
        self.asked.append((topic.name, key, body))
        make = self.answers.get(type(body))
        if make is None:
            raise NoAnswerError(f"nobody answers on {topic.name}")
        await asyncio.sleep(0)
        given = make(body)
        if isinstance(given, Refused):
            raise RefusedError(given)
        # What the wire would do: it decodes as one of the types that the asker named.
        decoder: codec.Decoder[Any] = codec.Decoder(answer)
        return decoder.decode(codec.encode(given))


class MemoryView(Generic[V]):
    """A view whose values the test puts."""

    def __init__(self, feed: Feed | None = None) -> None:
        self._entries: dict[str, V] = {}
        self._feed = feed

    def put(self, key: str, value: V) -> None:
        self._entries[key] = value
        if self._feed is not None:
            self._feed.tell(key)

    def remove(self, key: str) -> None:
        del self._entries[key]

    def get(self, key: str) -> V | None:
        return self._entries.get(key)

    def items(self) -> ItemsView[str, V]:
        return self._entries.items()


class MemoryDirectory:
    """Every role has an identity of its own."""

    def __init__(self) -> None:
        self.identities: dict[Role, Identity] = {}

    def identity(self, role: Role) -> Identity:
        if role not in self.identities:
            self.identities[role] = Identity(
                f"{role}-1", role, Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
            )
        return self.identities[role]

    def current(self, role: Role) -> Enrollment | None:
        identity = self.identity(role)
        return Enrollment(
            key_id=identity.key_id,
            role=role,
            signing_key=identity.signing.public_key().public_bytes_raw(),
            sealing_key=identity.sealing.public_key().public_bytes_raw(),
            enrolled_at_ms=0,
            not_after_ms=NOW_MS * 2,
        )

    def is_enrolled(self, key_id: str, role: Role) -> bool:
        return self.signing_key(key_id, role) is not None

    def signing_key(self, key_id: str, role: Role) -> Any:
        identity = self.identities.get(role)
        if identity is None or identity.key_id != key_id:
            return None
        return identity.signing.public_key()


class CountingRandomness:
    """Different bytes each time, the same in each run."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, length: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(length, "big")


@dataclass
class World:
    """All of a gateway's surroundings, and tokens to come in with."""

    clock: MemoryClock = field(default_factory=MemoryClock)
    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    asker: MemoryAsker = field(default_factory=MemoryAsker)
    feed: Feed = field(default_factory=Feed)
    config: GatewayConfig = field(
        default_factory=lambda: GatewayConfig(
            name="gateway-test",
            host="127.0.0.1",
            port=0,
            cdns=(
                Cdn(name="alpha", base_url="http://127.0.0.1:8081"),
                Cdn(name="beta", base_url="http://localhost:8082"),
            ),
            loopback_region="DE",
        )
    )

    def __post_init__(self) -> None:
        self.publisher = MemoryPublisher(self.clock)
        self.titles: MemoryView[Title] = MemoryView()
        self.bitrates: MemoryView[BitrateDecision] = MemoryView(self.feed)
        self.steering: MemoryView[SteeringDecision] = MemoryView()
        self.recommendations: MemoryView[Recommendations] = MemoryView()
        self.revocations: MemoryView[Revocation] = MemoryView()
        self.experiments: MemoryView[Experiment] = MemoryView()
        self.controls: MemoryView[SessionControl] = MemoryView(self.feed)
        self.billing_secrets: tuple[SecretBytes, ...] = ()
        self._tokens = 0

    def ports(self) -> GatewayPorts:
        def verifier(role: Role, claims: Any, typ: str, lifetime_s_max: int) -> Any:
            directory: Any = self.directory
            return TokenVerifier(
                directory,
                role,
                claims,
                typ=typ,
                audience=AUDIENCE,
                lifetime_s_max=lifetime_s_max,
                clock=self.clock,
            )

        return GatewayPorts(
            config=self.config,
            publisher=self.publisher,
            asker=self.asker,
            views=GatewayViews(
                titles=self.titles,
                bitrates=self.bitrates,
                steering=self.steering,
                recommendations=self.recommendations,
                controls=self.controls,
                revocations=self.revocations,
                experiments=self.experiments,
                changes=self.feed,
            ),
            access_tokens=verifier("account", AccessClaims, ACCESS_TYP, ACCESS_TOKEN_S),
            profile_tokens=verifier("account", ProfileClaims, PROFILE_TYP, PROFILE_TOKEN_S),
            session_tokens=verifier("license", SessionClaims, SESSION_TYP, SESSION_TOKEN_S_MAX),
            admin_tokens=verifier("operator", AdminClaims, ADMIN_TYP, ADMIN_TOKEN_S_MAX),
            directory=self.directory,
            deployment_secret=SecretBytes(b"d" * 32),
            clock=self.clock,
            randomness=CountingRandomness(),
            billing_secrets=lambda: self.billing_secrets,
        )

    def access_token(self, account_id: str = "", *, ver: int = 1, lifetime_s: int = 900) -> str:
        iat = self.clock() // 1000
        claims = AccessClaims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=account_id or self.new_id(),
            jti=self.new_id(),
            iat=iat,
            exp=iat + lifetime_s,
            ver=ver,
            fam="family-1",
        )
        return issue(self.directory.identity("account"), claims, typ=ACCESS_TYP)

    def profile_token(self, account_id: str, profile_id: str, pin_set_at_ms: int) -> str:
        iat = self.clock() // 1000
        claims = ProfileClaims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub=account_id,
            jti=self.new_id(),
            iat=iat,
            exp=iat + PROFILE_TOKEN_S,
            profile_id=profile_id,
            pin_set_at_ms=pin_set_at_ms,
        )
        return issue(self.directory.identity("account"), claims, typ=PROFILE_TYP)

    def session_claims(self, **given: Any) -> SessionClaims:
        iat = self.clock() // 1000
        defaults: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "jti": self.new_id(),
            "iat": iat,
            "exp": iat + 3600,
            "sid": self.new_id(),
            "account_id": self.new_id(),
            "profile_id": "profile-1",
            "content_id": "title-1",
            "tiers": ("audio", "sd", "hd"),
            "region": "DE",
            "plan": "standard",
        }
        return SessionClaims(**(defaults | given))

    def session_token(self, claims: SessionClaims | None = None) -> str:
        return issue(
            self.directory.identity("license"), claims or self.session_claims(), typ=SESSION_TYP
        )

    def admin_token(self, role: AdminRole, contents: tuple[str, ...] = ()) -> str:
        iat = self.clock() // 1000
        claims = AdminClaims(
            iss=ISSUER,
            aud=AUDIENCE,
            sub="test",
            jti=self.new_id(),
            iat=iat,
            exp=iat + 3600,
            role=role,
            contents=contents,
        )
        return issue(self.directory.identity("operator"), claims, typ=ADMIN_TYP)

    def new_id(self) -> str:
        self._tokens += 1
        return str(uuid7(self.clock(), self._tokens.to_bytes(10, "big")))
