"""What the license agent's rules of today decide on requests of then: fold and decide, no more.

It runs the agent's own ledger and decisions, which are pure, on the log's clock. What issues (keys,
tokens, replies, sessions, controls) is neither imported nor passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.license.decisions import Asking, Deciding, Knowledge, action_of, decide
from agents.license.ledger import Ledger, Renewal
from agents.license.plans import LicensePolicy
from agents.license.upkeep import resume
from infra.operations.shadow.reading import ShadowReader
from infra.operations.shadow.rules import Decided, Make, Rules
from schemas import codec
from schemas.accounts import Account
from schemas.catalog import Tier, Title
from schemas.envelope import Request
from schemas.errors import InvalidMessageError
from schemas.licenses import LicenseDecision, WrappedKey
from schemas.sessions import Lease, LicenseAgentRequest, ListDevices, RemoveDevice
from streams.records import Record
from streams.topics import (
    ACCOUNTS,
    CATALOG_TITLES,
    CONTENT_KEYS,
    LICENSE_DECISIONS,
    LICENSE_REQUESTS,
    SESSION_LEASES,
)

_requests: Final[codec.Decoder[LicenseAgentRequest]] = codec.Decoder(LicenseAgentRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowKnowledge:
    """What the rules know beside the ledger: accounts and titles as they are now."""

    accounts: Mapping[str, Account]
    titles: Mapping[str, Title]
    key_tiers: Mapping[str, tuple[str, Tier]]


def key_tiers_of(keys: Mapping[str, WrappedKey]) -> dict[str, tuple[str, Tier]]:
    """Content and tier of every key id; the wrapped keys themselves are left behind."""
    return {key_id: (key.content_id, key.tier) for key_id, key in keys.items()}


class LicenseShadow:
    """One partition's households."""

    def __init__(self, knowledge: ShadowKnowledge, policy: LicensePolicy) -> None:
        self._knowledge = knowledge
        self._policy = policy
        self._ledger = Ledger(lease_ms=policy.lease_ms)

    def warm_up(self, record: Record[Any]) -> None:
        """Fold a recorded decision, or a lease, of before the window."""
        value = record.value
        if isinstance(value, LicenseDecision):
            self._ledger.apply(value)
        elif isinstance(value, Lease):
            self._ledger.renew(value, record.timestamp_ms)

    def take(self, record: Record[Any]) -> Sequence[LicenseDecision]:
        """The decision on a request or a lease of the window; none where there is none to make."""
        if isinstance(record.value, Lease):
            decision = self._renew(record.value, record)
        else:
            decision = self._decide(record)
        return () if decision is None else (decision,)

    def rest(self) -> Sequence[LicenseDecision]:
        """Nothing: each is made on its record."""
        return ()

    def _decide(self, record: Record[Request]) -> LicenseDecision | None:
        try:
            request = _requests.decode(record.value.body)
        except InvalidMessageError:
            return None
        if isinstance(request, ListDevices) or request.account_id != record.key:
            return None
        # The same for every retry of the same question; the wire's own suffix is cut off.
        request_id = record.value.request_id.partition(".")[0]
        asked_before = self._ledger.answered(request.account_id, action_of(request), request_id)
        if asked_before is not None or not self._is_about_something(request):
            return None
        knowledge = Knowledge(
            policy=self._policy,
            account=self._knowledge.accounts.get(request.account_id),
            titles=self._knowledge.titles,
            key_tiers=self._knowledge.key_tiers,
        )
        decision = decide(self._ledger, request, knowledge, _asking(record, request_id))
        self._ledger.apply(decision)
        return decision

    def _is_about_something(self, request: Deciding) -> bool:
        if not isinstance(request, RemoveDevice):
            return True
        return request.device_id in self._ledger.household(request.account_id).devices

    def _renew(self, lease: Lease, record: Record[Any]) -> LicenseDecision | None:
        if self._ledger.renew(lease, record.timestamp_ms) is not Renewal.LAPSED:
            return None
        running = self._ledger.session(lease.account_id, lease.session_id)
        assert running is not None, "what lapsed is known"
        asking = _asking(record, f"resume:{lease.session_id}:{lease.at_ms}")
        account = self._knowledge.accounts.get(lease.account_id)
        decision = resume(self._ledger, running, account, self._policy, asking)
        self._ledger.apply(decision)
        return decision


def _asking(record: Record[Any], request_id: str) -> Asking:
    """Then, as the broker's clock has it; the id names the record, so that it is the same again."""
    return Asking(
        now_ms=record.timestamp_ms,
        decision_id=f"shadow:{record.topic}:{record.partition}:{record.offset}",
        request_id=request_id,
        partition=record.partition,
        offset=record.offset,
    )


def _describe(decision: LicenseDecision) -> Decided:
    return Decided(
        identity=(decision.action, decision.request_id),
        subject=decision.account_id,
        cause=f"{decision.action} {decision.request_id}",
        said=f"{decision.outcome} {decision.reason}",
    )


def license_rules(policy: LicensePolicy) -> Rules:
    """The license agent's, under a policy."""

    async def learn(reader: ShadowReader) -> Make:
        knowledge = ShadowKnowledge(
            accounts=await reader.newest(ACCOUNTS),
            titles=await reader.newest(CATALOG_TITLES),
            key_tiers=key_tiers_of(await reader.newest(CONTENT_KEYS)),
        )
        return lambda: LicenseShadow(knowledge, policy)

    return Rules(
        reads=(SESSION_LEASES, LICENSE_REQUESTS),
        windows=(LICENSE_REQUESTS,),
        remembers=(LICENSE_DECISIONS, SESSION_LEASES),
        decides=LICENSE_DECISIONS,
        is_partitioned=True,
        describe=_describe,
        learn=learn,
    )
