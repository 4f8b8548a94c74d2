"""One gateway's parts, put together from its ports; handlers find it in the application."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.admission import Room, Slots
from gateway.answers import read_as, require_json
from gateway.attempts import Attempt, Attempts
from gateway.auth import Auth
from gateway.beside import Beside
from gateway.bodies import LicenseAnswer
from gateway.connections import Connections
from gateway.delivery.assembly import Assembly
from gateway.drm.posting import UpstreamPoster
from gateway.forwarding import address_of
from gateway.intake import Intake
from gateway.leases import Leases
from gateway.ledger import Ledger
from gateway.metrics import GatewayMetrics
from gateway.pacing import Pace
from gateway.plans import Plans
from gateway.ports import GatewayPorts
from gateway.readiness import Readiness
from gateway.recording import Recorder
from gateway.region import Place, Regions
from gateway.sharing import Shared
from gateway.turns import Turns
from schemas.ids import uuid7
from schemas.sessions import EndSession
from streams.topic import Topic
from streams.topics import LICENSE_REQUESTS


class Gateway:
    """What every handler works with; holds no business state."""

    def __init__(self, ports: GatewayPorts) -> None:
        config, clock = ports.config, ports.clock
        self.ports = ports
        self.config = config
        self.limits = config.limits
        self.views = ports.views
        self.public_url = config.public_url.rstrip("/")
        """Empty until it listens, where the settings do not say it."""
        self.metrics = GatewayMetrics()
        self.memory = Room(self.limits.memory_bytes_max)
        self.work = Room(self.limits.events_work_bytes_max)
        self.turns = Turns()
        self.slots = Slots()
        self.readiness = Readiness(ports.publisher, clock=clock)
        self.intake = Intake(
            self.memory,
            self.work,
            self.turns,
            deadline_ms=self.limits.body_deadline_ms,
            is_log_away=self.readiness.is_log_away,
        )
        self.ledger = Ledger(ports.publisher, gateway=config.name, clock=clock)
        self.recorder = Recorder(
            ports.publisher, self.ledger, self.metrics, ports.views.experiments
        )
        self.beside = Beside()
        self.leases = Leases(
            ports.publisher, self.beside, interval_ms=config.heartbeat_interval_ms, clock=clock
        )
        self.auth = Auth(ports, self.leases)
        self.regions = Regions(
            config.region_database, config.loopback_region, config.anonymizer_database
        )
        self.attempts = Attempts(
            self.regions,
            tries_max=self.limits.network_tries_max,
            try_every_ms=self.limits.network_try_every_ms,
            clock=clock,
        )
        self.assembly = Assembly()
        self.licenses: Shared[LicenseAnswer] = Shared(self.metrics.shared_answers.inc)
        self.license_pace = Pace(self.turns.saw_license)
        self.upstreams = UpstreamPoster(config.limits)
        self.connections: Connections | None = None
        """Set where it listens."""
        self.cdn_names = {cdn.base_url: cdn.name for cdn in config.cdns}
        self.is_draining = False
        self.plans = Plans()
        self._sequence = 0

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return self.ports.clock()

    def new_id(self) -> str:
        """A UUIDv7."""
        return str(uuid7(self.now_ms(), self.ports.randomness(10)))

    def next_sequence(self) -> int:
        """Counts what this process measures itself."""
        self._sequence += 1
        return self._sequence

    def place(self, request: web.Request) -> Place:
        """Where the client is; of headers only a trusted proxy's is believed."""
        return self.regions.locate(address_of(request))

    def begin_attempt(self, request: web.Request) -> Attempt:
        """What a guess costs the client's network; ProblemError 429 where it has none left."""
        return self.attempts.begin(address_of(request))

    async def ask(
        self,
        topic: Topic,
        key: str,
        body: msgspec.Struct,
        answer: Any,
        *,
        deadline_ms: int | None = None,
    ) -> Any:
        """An agent's answer; its refusal and its silence are the middleware's to tell.

        ProblemError 503 where the license agent is asked more than it can answer: but never for the
        end of a session, which makes room.
        """
        is_paced = topic is LICENSE_REQUESTS and not isinstance(body, EndSession)
        with self.license_pace.question() if is_paced else nullcontext():
            return await self.ports.asker.ask(
                topic, key, body, answer, deadline_ms=deadline_ms or self.limits.ask_deadline_ms
            )

    async def read_json(
        self, request: web.Request, type_: Any, *, bytes_max: int | None = None
    ) -> Any:
        """The request's JSON body as this type; ProblemError."""
        require_json(request)
        body = await self.intake.read(request, bytes_max or self.limits.body_bytes_max)
        return read_as(body, type_)

    def root_url(self, request: web.Request, session_token: str) -> str:
        """`https://gateway/s/{session_token}`."""
        return f"{self.public_url or request.url.origin()}/s/{session_token}"


GATEWAY: Final = web.AppKey("gateway", Gateway)


def gateway_of(request: web.Request) -> Gateway:
    """The gateway that serves the request."""
    return request.app[GATEWAY]


def instant(at_ms: int) -> datetime:
    """Unix milliseconds as RFC 3339 writes them."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)
