"""The license agent's shell: waits for knowledge, decides, records, then replies."""

from __future__ import annotations

import logging
import secrets
from typing import Any, Final

import faust
import msgspec

from agents.license import answers, upkeep
from agents.license.decisions import Asking, Deciding, Knowledge, action_of, decide, refused
from agents.license.key_desk import KeyDesk
from agents.license.keys import KeyProvider, KeyRing, KeyServiceError
from agents.license.knowledge import Accounts, Titles
from agents.license.ledger import Ledger, Renewal
from agents.license.plans import LicensePolicy
from agents.license.registrar import Registrar
from agents.license.sweeper import Sweeper
from agents.shell import ShellPorts, Work, serve
from schemas import codec
from schemas.accounts import Account
from schemas.envelope import Refused, Request
from schemas.errors import InvalidMessageError, RetryableError
from schemas.ids import uuid7
from schemas.licenses import ClearKey, Keys, LicenseDecision
from schemas.sessions import (
    Lease,
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
    ACCOUNTS,
    CATALOG_TITLES,
    CONTENT_KEYS,
    KEY_REQUESTS,
    LICENSE_DECISIONS,
    LICENSE_REQUESTS,
    SESSION_LEASES,
    Topic,
)
from streams.view import View

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
        key_provider: KeyProvider,
        policy: LicensePolicy,
    ) -> None:
        self._ports = ports
        self._identity = identity
        self._desk = desk
        self._policy = policy
        self._accounts = Accounts()
        self._titles = Titles()
        self._keys = KeyRing(key_provider)
        self._ledger = Ledger(lease_ms=policy.lease_ms)
        self._is_restored = False
        self._registrar = Registrar(ports.publisher, self._ledger)
        self._key_desk = KeyDesk(ports, desk, self._keys)
        self._accounts_view: View[Account] = self._follow(ACCOUNTS, self._accounts.take)
        self._titles_view = self._follow(CATALOG_TITLES, self._titles.take)
        self._views = (
            self._accounts_view,
            self._titles_view,
            self._follow(CONTENT_KEYS, self._keys.take),
            # Decisions before leases: a lease counts only for a session that is known.
            self._follow(LICENSE_DECISIONS, self._registrar.take),
            self._follow(SESSION_LEASES, self._note_lease),
        )
        self._sweeper = Sweeper(ports, self._ledger, self._registrar, policy, self._knowledge)

    def _follow(self, topic: Topic, take: Any) -> View[Any]:
        ports = self._ports
        return View(
            ports.broker,
            topic,
            clock=ports.clock,
            state_key=ports.state_key,
            on_record=take,
            keep=False,
        )

    async def start(self) -> None:
        """Read accounts, titles and keys, and fold the ledger."""
        for view in self._views:
            await view.start()
        now_ms = self._ports.clock()
        self._is_restored = True
        self._ledger.prune(now_ms)
        self._ledger.settle(self._stream_limit, now_ms)
        self._sweeper.start()
        log.info("households: %d, content keys: %d", len(self._ledger), len(self._keys))

    def attach(self, app: faust.App) -> None:
        """Take license requests, leases and packagers' requests."""
        serve(app, LICENSE_REQUESTS, self.handle, self._ports)
        serve(app, SESSION_LEASES, self.handle_lease, self._ports)
        serve(app, KEY_REQUESTS, self._key_desk.handle, self._ports)

    async def stop(self) -> None:
        """Stop following."""
        await self._sweeper.stop()
        for view in self._views:
            await view.stop()

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
            await self._wait_for_account(asked, request)
        decision = self._answered_before(asked, request)
        if decision is not None:
            await self._registrar.tell(decision)
            keys = self._keys_of(decision)
        elif self._desk.is_late(asked.request):
            return
        elif isinstance(request, RemoveDevice) and not self._has_device(request):
            await self._reply(asked, Refused(status=404, reason="unknown-device"))
            return
        else:
            decided, keys = self._decide(asked, request)
            decision = await self._registrar.record(decided)
        await self._reply(asked, self._answer(decision, keys))

    def _has_device(self, request: RemoveDevice) -> bool:
        return request.device_id in self._ledger.household(request.account_id).devices

    async def _wait_for_account(self, asked: Asked, request: OpenSession) -> None:
        """Until the account is as new as the access token says, while the deadline lasts."""

        def is_known() -> bool:
            account = self._accounts.get(request.account_id)
            return account is not None and account.version >= request.account_version

        left_ms = asked.request.not_after_ms - self._ports.clock() - REPLY_RESERVE_MS
        await self._accounts_view.wait_until(is_known, max(0, left_ms))

    def _answered_before(self, asked: Asked, request: Deciding) -> LicenseDecision | None:
        """The decision on this very request; none where its session has ended since."""
        action = action_of(request)
        decision = self._ledger.answered(request.account_id, action, asked.request_id)
        if decision is None or action != "license":
            return decision
        running = self._ledger.session(request.account_id, decision.session_id)
        return None if running is None or running.is_ended else decision

    def _decide(
        self, asked: Asked, request: Deciding
    ) -> tuple[LicenseDecision, tuple[ClearKey, ...]]:
        asking = self._asking(asked.request_id, asked.record)
        key_ids = getattr(request, "key_ids", ())
        version_min = getattr(request, "account_version", 0)
        knowledge = self._knowledge(request.account_id, version_min, key_ids)
        decision = decide(self._ledger, request, knowledge, asking)
        try:
            return decision, self._keys_of(decision)
        except KeyServiceError as error:
            log.error("the key service failed: %s", error)  # noqa: TRY400 - no trace near keys
            return refused(decision, "key-service"), ()

    def _keys_of(self, decision: LicenseDecision) -> tuple[ClearKey, ...]:
        return self._keys.for_player(decision.key_ids_granted)

    def _knowledge(
        self, account_id: str, version_min: int = 0, key_ids: tuple[str, ...] = ()
    ) -> Knowledge:
        """What is known now; no account where that is too old to decide on."""
        now_ms = self._ports.clock()
        account = self._accounts.get(account_id)
        views = (self._accounts_view, self._titles_view)
        is_stale = any(view.age_ms(now_ms) > self._policy.view_age_ms_max for view in views)
        if account is not None and (is_stale or account.version < version_min):
            account = None
        return Knowledge(
            policy=self._policy,
            account=account,
            titles=self._titles,
            key_tiers=self._keys.places(key_ids),
        )

    def _asking(self, request_id: str, record: Record[Any]) -> Asking:
        now_ms = self._ports.clock()
        return Asking(
            now_ms=now_ms,
            decision_id=str(uuid7(now_ms, secrets.token_bytes(10))),
            request_id=request_id,
            partition=record.partition,
            offset=record.offset,
        )

    # -- answers ------------------------------------------------------------------------------

    def _answer(self, decision: LicenseDecision, keys: tuple[ClearKey, ...]) -> msgspec.Struct:
        if decision.outcome == "denied":
            return answers.refusal(decision)
        if decision.action == "license":
            return Keys(keys=keys)
        if decision.session is None:
            return answers.plain_answer(decision)
        return SessionOpened(
            session_id=decision.session_id,
            session_token=issue(self._identity, answers.session_claims(decision), typ=SESSION_TYP),
            expires_at_ms=decision.session.expires_at_ms,
        )

    def _devices(self, request: ListDevices) -> msgspec.Struct:
        running_ids = self._ledger.slots(request.account_id, self._ports.clock())
        return answers.devices_of(self._ledger.household(request.account_id), running_ids)

    async def _reply(self, asked: Asked, answer: msgspec.Struct) -> None:
        try:
            await self._desk.reply(asked, answer)
        except RetryableError as error:
            # What was decided is in the log; whoever asked has stopped waiting by now.
            log.warning("an answer was not delivered: %s", error)

    # -- leases -------------------------------------------------------------------------------

    def _note_lease(self, record: Record[Lease | None]) -> None:
        """Every worker knows every slot, so that another can take over."""
        lease = record.value
        if lease is not None and lease.account_id == record.key:
            now_ms = self._ports.clock() if self._is_restored else record.timestamp_ms
            self._ledger.renew(lease, now_ms)

    def _stream_limit(self, account_id: str) -> int:
        return self._policy.streams_max(self._accounts.get(account_id))

    def handle_lease(self, record: Record[Lease]) -> Work | None:
        """Renew the slot; one that lapsed has to be decided on."""
        if record.value.account_id != record.key:
            raise InvalidMessageError("key", "the lease is for another account than its key")
        if self._ledger.renew(record.value, self._ports.clock()) is Renewal.LAPSED:
            return self._resume(record)
        return None

    async def _resume(self, record: Record[Lease]) -> None:
        lease = record.value
        if self._ledger.renew(lease, self._ports.clock()) is not Renewal.LAPSED:
            return  # an earlier lease has got the slot back in the meantime
        running = self._ledger.session(lease.account_id, lease.session_id)
        assert running is not None, "what lapsed is known"
        asking = self._asking(f"resume:{lease.session_id}:{lease.at_ms}", record)
        knowledge = self._knowledge(lease.account_id)
        await self._registrar.record(upkeep.resume(self._ledger, running, knowledge, asking))
