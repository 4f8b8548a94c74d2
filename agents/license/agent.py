"""The license agent's shell: waits for knowledge, decides, records, then replies."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

import faust
import msgspec
from aiokafka import TopicPartition

from agents.license import answers
from agents.license.decisions import Deciding, Licensing, action_of, decide, refused
from agents.license.endings import Endings
from agents.license.key_delivery import PackagerTrust
from agents.license.key_desk import KeyDesk
from agents.license.key_encryption import KeyEncryptionKeys, KeyServiceError
from agents.license.key_views import KeyViews
from agents.license.keys import KeyRing
from agents.license.knowledge import KnowledgeViews
from agents.license.leases import LeaseDesk
from agents.license.ledger import Ledger
from agents.license.plans import LicensePolicy
from agents.license.registrar import Registrar
from agents.license.revocations import Revocations
from agents.license.rotation import Rotator
from agents.license.sweeper import Sweeper
from agents.shell import ShellPorts, Work, serve
from schemas import codec
from schemas.envelope import Refused, Request
from schemas.errors import InvalidMessageError, RetryableError
from schemas.licenses import Keys, LicenseDecision
from schemas.sessions import (
    GetKeys,
    LicenseAgentRequest,
    ListDevices,
    OpenSession,
    RemoveDevice,
    SessionOpened,
)
from schemas.tokens import SESSION_TYP
from streams.identity import Identity
from streams.records import Record
from streams.replies import Asked, Desk
from streams.tokens import issue
from streams.topics import (
    KEY_REQUESTS,
    LICENSE_REQUESTS,
    SESSION_LEASES,
)

log = logging.getLogger(__name__)
_requests: Final[codec.Decoder[LicenseAgentRequest]] = codec.Decoder(LicenseAgentRequest)
REPLY_RESERVE_MS: Final = 300
"""What recording and replying may take of a deadline; the rest may be waited."""


class LicenseAgent:
    """Owns sessions, slots, devices, license decisions and content keys.

    Its state is the fold of `license.decisions.v1` and `session.leases.v1`; a decision is
    acknowledged in the log before its answer leaves. Where the log does not take it, the process
    halts and starts again from what the log holds.
    """

    name = "license"

    def __init__(
        self,
        ports: ShellPorts,
        identity: Identity,
        desk: Desk,
        *,
        keks: KeyEncryptionKeys,
        policy: LicensePolicy,
        packagers: PackagerTrust | None = None,
    ) -> None:
        self._ports = ports
        self._identity = identity
        self._desk = desk
        self._policy = policy
        self._keys = KeyRing(keks)
        self._key_views = KeyViews(ports, keks, self._keys)
        self._ledger = Ledger(lease_ms=policy.lease_ms)
        self._registrar = Registrar(ports, self._ledger)
        revocations = Revocations()
        self._endings = Endings(ports, self._ledger, self._registrar, policy, revocations)
        self._views = KnowledgeViews(
            ports,
            policy,
            self._keys,
            revocations,
            on_account=self._endings.note_account,
            on_revocation=self._endings.note_revocation,
        )
        self._leases = LeaseDesk(ports, self._ledger, self._registrar, policy, self._views)
        rotator = Rotator(ports, keks, self._keys, self._key_views.until_held)
        self._key_desk = KeyDesk(ports, desk, self._keys, rotator, packagers or PackagerTrust())
        self._sweeper = Sweeper(ports, self._ledger, self._registrar, policy)

    async def start(self) -> None:
        """Read accounts, titles and keys, and fold the ledger: decisions before leases."""
        for part in (self._views, self._key_views, self._registrar, self._leases):
            await part.start()
        self._ledger.prune(self._ports.clock())
        self._sweeper.start()
        self._endings.start()
        log.info(
            "policy: %s, households: %d, content keys: %d",
            self._policy.version,
            len(self._ledger),
            len(self._keys),
        )

    def attach(self, app: faust.App) -> None:
        """Take license requests, leases and packagers' requests."""
        app.on_partitions_assigned.connect(self._own)
        serve(app, LICENSE_REQUESTS, self.handle, self._ports)
        serve(app, SESSION_LEASES, self._leases.handle, self._ports)
        serve(app, KEY_REQUESTS, self._key_desk.handle, self._ports)

    async def _own(self, _: faust.App, assigned: Collection[TopicPartition], **__: object) -> None:
        physical = self._ports.broker.physical(LICENSE_REQUESTS.name)
        self._registrar.own(place.partition for place in assigned if place.topic == physical)

    async def stop(self) -> None:
        """Stop following."""
        await self._endings.stop()
        await self._sweeper.stop()
        for part in (self._leases, self._registrar, self._key_views, self._views):
            await part.stop()

    # -- requests -----------------------------------------------------------------------------

    def handle(self, record: Record[Request]) -> Work | None:
        """Raises InvalidMessageError for what no gateway signed or nobody can read."""
        asked = self._desk.open(record)
        if asked is None:
            return None
        request = _requests.decode(asked.body)
        if request.account_id != record.key:
            raise InvalidMessageError("key", "the request is for another account than its key")
        if isinstance(request, ListDevices):
            return self._reply(asked, self._devices(request))
        return self._serve(asked, request)

    async def _serve(self, asked: Asked, request: Deciding) -> None:
        if isinstance(request, OpenSession):
            left_ms = asked.request.not_after_ms - self._ports.clock() - REPLY_RESERVE_MS
            await self._views.wait_for_account(request.account_id, request.account_version, left_ms)
        await self._registrar.catch_up(request.account_id)
        decision = self._answered_before(asked, request)
        if decision is not None:
            await self._registrar.tell(decision)
        elif self._desk.is_late(asked.request):
            return
        elif isinstance(request, RemoveDevice) and not self._has_device(request):
            await self._reply(asked, Refused(status=404, reason="unknown-device"))
            return
        else:
            decision = await self._registrar.record(self._decide(asked, request))
        await self._reply(asked, self._answer(decision, request))

    def _answered_before(self, asked: Asked, request: Deciding) -> LicenseDecision | None:
        """The decision on this very request; none where its session has ended since."""
        action = action_of(request)
        decision = self._ledger.answered(request.account_id, action, asked.request_id)
        if decision is None or action != "license":
            return decision
        running = self._ledger.session(request.account_id, decision.session_id)
        return None if running is None or running.is_ended else decision

    def _has_device(self, request: RemoveDevice) -> bool:
        return request.device_id in self._ledger.household(request.account_id).devices

    def _decide(self, asked: Asked, request: Deciding) -> LicenseDecision:
        """Nothing is granted whose keys cannot be given."""
        key_ids = request.key_ids if isinstance(request, Licensing) else ()
        version_min = request.account_version if isinstance(request, OpenSession) else 0
        knowledge = self._views.about(request.account_id, version_min=version_min, key_ids=key_ids)
        record = asked.record
        asking = self._registrar.asking(
            asked.request_id, partition=record.partition, offset=record.offset
        )
        decision = decide(self._ledger, request, knowledge, asking)
        if decision.entitlement is not None:
            return decision  # the upstream has the keys
        try:
            self._keys.for_player(decision.key_ids_granted)
        except KeyServiceError as error:
            log.error("the key service failed: %s", error)  # noqa: TRY400 - no trace near keys
            return refused(decision, "key-service")
        return decision

    # -- answers ------------------------------------------------------------------------------

    def _answer(self, decision: LicenseDecision, request: Deciding) -> msgspec.Struct:
        if decision.outcome == "denied":
            return answers.refusal(decision)
        if decision.entitlement is not None:
            return decision.entitlement
        if isinstance(request, GetKeys):
            return self._key_answer(decision, request)
        if decision.session is None:
            return answers.plain_answer(decision)
        return SessionOpened(
            session_id=decision.session_id,
            session_token=issue(self._identity, answers.session_claims(decision), typ=SESSION_TYP),
            expires_at_ms=decision.session.expires_at_ms,
        )

    def _key_answer(self, decision: LicenseDecision, request: GetKeys) -> msgspec.Struct:
        try:
            keys = self._keys.for_player(decision.key_ids_granted)
        except KeyServiceError:
            return Refused(status=503, reason="key-service")
        if decision.system != "device":
            return Keys(keys=keys)
        running = self._ledger.session(decision.account_id, decision.session_id)
        assert running is not None, "a license is granted to a session"
        return answers.bound_keys(keys, running.session, request.nonce)

    def _devices(self, request: ListDevices) -> msgspec.Struct:
        running_ids = self._ledger.slots(request.account_id, self._ports.clock())
        return answers.devices_of(self._ledger.household(request.account_id), running_ids)

    async def _reply(self, asked: Asked, answer: msgspec.Struct) -> None:
        try:
            await self._desk.reply(asked, answer)
        except RetryableError as error:
            # What was decided is in the log; whoever asked has stopped waiting by now.
            log.warning("an answer was not delivered: %s", error)
