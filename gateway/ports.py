"""What the gateway needs of the world, as ports: wiring gives the real ones, tests give fakes."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from gateway.config import GatewayConfig
from gateway.feed import Feed
from gateway.stored_overview import StoredOverview
from gateway.stored_session import StoredSession
from schemas.bitrate import BitrateDecision
from schemas.catalog import Title
from schemas.envelope import Enrollment, Role
from schemas.experiments import Experiment
from schemas.recommendations import Recommendations
from schemas.revocations import Revocation
from schemas.secrets import SecretBytes
from schemas.sessions import SessionClaims, SessionControl
from schemas.steering import SteeringDecision
from schemas.tokens import AccessClaims, AdminClaims, ProfileClaims
from streams.clock import Clock
from streams.producer import Receipt
from streams.topic import Topic

T_co = TypeVar("T_co", covariant=True)


class Publishing(Protocol):
    """`streams.producer.Publisher`."""

    @property
    def last_acknowledged_at_ms(self) -> int:
        """When the broker last acknowledged a record."""

    @property
    def unacknowledged_bytes(self) -> int:
        """What waits for its acknowledgment."""

    async def publish(
        self, topic: Topic, key: str, value: Any, *, headers: Mapping[str, bytes] | None = None
    ) -> Receipt:
        """One record; returns after acks=all, raises UnavailableError."""

    async def publish_many(self, topic: Topic, rows: Sequence[tuple[str, bytes]]) -> None:
        """Encoded rows; returns after acks=all of every one, raises UnavailableError."""

    async def is_reachable(self, *, timeout_ms: int = 1_000) -> bool:
        """Whether a broker answers now."""


class Asking(Protocol):
    """`streams.requests.Asker`."""

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
        """The answer; raises RefusedError, NoAnswerError or UnavailableError."""


class Verifying(Protocol[T_co]):
    """`streams.tokens.TokenVerifier`."""

    def verify(self, token: str, *, expired_for_s_max: int = 0) -> T_co:
        """The claims; raises TokenError."""


class Enrolled(Protocol):
    """`streams.identity.Directory`."""

    def current(self, role: Role) -> Enrollment | None:
        """The newest valid enrollment of a role."""


class Followed(Protocol[T_co]):
    """`streams.view.View`."""

    def get(self, key: str) -> T_co | None:
        """The newest value of the key."""

    def items(self) -> ItemsView[str, T_co]:
        """Every key and value."""


class StoredSessions(Protocol):
    """The analytics store, read-only."""

    async def read(
        self, session_id: str, since_ms: int, *, events_max: int, decisions_max: int
    ) -> StoredSession:
        """Raises RetryableError where the store is away."""

    async def overview(self) -> StoredOverview:
        """The last hour; raises RetryableError where the store is away."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a command printed; `code` None: it goes on."""

    code: int | None
    out: bytes
    err: str


class Operating(Protocol):
    """Runs `playhead` with these arguments, in a process of its own."""

    async def run(self, arguments: Sequence[str], *, goes_on: bool = False) -> Said:
        """To its end; with `goes_on` it is left running after a while. Raises RetryableError."""


@dataclass(frozen=True, slots=True)
class GatewayViews:
    """What the gateway knows of the agents' decisions, and who waits for the next one."""

    titles: Followed[Title]
    bitrates: Followed[BitrateDecision]
    steering: Followed[SteeringDecision]
    recommendations: Followed[Recommendations]
    controls: Followed[SessionControl]
    revocations: Followed[Revocation]
    experiments: Followed[Experiment]
    changes: Feed
    """Told of every bitrate decision and session control."""


@dataclass(frozen=True, slots=True)
class GatewayPorts:
    """All of it."""

    config: GatewayConfig
    publisher: Publishing
    asker: Asking
    views: GatewayViews
    access_tokens: Verifying[AccessClaims]
    profile_tokens: Verifying[ProfileClaims]
    session_tokens: Verifying[SessionClaims]
    admin_tokens: Verifying[AdminClaims]
    directory: Enrolled
    deployment_secret: SecretBytes
    clock: Clock
    randomness: Callable[[int], bytes]
    """So many random bytes."""
    billing_secrets: Callable[[], Sequence[SecretBytes]] = tuple
    """Those that billing events may be signed with now; none: there is no billing system."""
    stored: StoredSessions | None = None
    """For the player page alone."""
    operating: Operating | None = None
    """For the console alone."""
