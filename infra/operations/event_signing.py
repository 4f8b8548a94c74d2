"""Account events of before they carried a MAC: signed once, or buried where something denies them.

Unsigned records are believed as far as they stand before the first signed one of their partition
and do not contradict `accounts.v1`, which always carried MACs. A log cannot be rewritten: signed
copies go to its end, then its beginning is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from hashlib import sha256
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from agents.account.outcome import profile_facts
from infra.deployment import Deployment
from infra.operations.households import read_accounts
from infra.operations.log_access import publishing, reading, records_before, saying_why
from infra.operations.operator import require_keys
from schemas import codec
from schemas.accounts import Account, AccountEvent
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from streams.administering import administering
from streams.authenticity import MAC_HEADER
from streams.broker import Broker
from streams.clock import system_clock
from streams.dead_letters import publish_dead_letter
from streams.producer import Publisher
from streams.reader import RawRecord, is_genuine
from streams.topics import ACCOUNT_EVENTS

ROWS_MAX: Final = 500
"""Copies that are written together."""

_events: Final[codec.Decoder[AccountEvent]] = codec.Decoder(AccountEvent)


class SigningReport(msgspec.Struct, kw_only=True):
    """What became of unsigned events; in a dry run: what would."""

    unsigned: int = 0
    signed: int = 0
    """Copied with a MAC, by this run or by one that was ended."""
    buried: int = 0
    """Dead letters: what contradicts the accounts, or cannot be read."""


def require_plausible(event: AccountEvent, key: str, account: Account | None) -> None:
    """Raise InvalidMessageError (reason `forged`) where the account, as it is, denies the event."""
    if event.account_id != key:
        raise InvalidMessageError("forged", "the event is of another account than its key")
    if account is None:
        raise InvalidMessageError("forged", "there was never such an account")
    if event.version > account.version:
        raise InvalidMessageError("forged", f"the account has not got beyond {account.version}")
    if event.version == account.version and not _agree(event, account):
        raise InvalidMessageError("forged", "the account of this version is another")


def _agree(event: AccountEvent, account: Account) -> bool:
    subscription = account.subscription
    if event.subscription is None or event.profiles is None:  # an older writer told less
        return (event.plan, event.subscription_state) == (subscription.plan, subscription.state)
    return (event.subscription, event.profiles, event.is_closed, event.signed_out_at_ms) == (
        subscription,
        tuple(map(profile_facts, account.profiles)),
        account.is_closed,
        account.signed_out_at_ms,
    )


async def begins_unsigned(deployment: Deployment) -> bool:
    """Whether a partition begins with what an older release wrote. Raises PlayheadError."""
    state_key = require_keys(deployment).state_key()
    broker = deployment.broker()
    with saying_why(broker):
        async with reading(broker) as consumer:
            ends = await consumer.end_offsets(_places(broker))
            for place, end in ends.items():
                async with aclosing(records_before(consumer, place, end)) as records:
                    first = await anext(records, None)
                if first is not None and not is_genuine(state_key, ACCOUNT_EVENTS.name, first):
                    return True
    return False


async def sign_account_events(deployment: Deployment, *, dry_run: bool) -> SigningReport:
    """Once, after every account agent writes MACs; safe to repeat, and to kill in the middle.

    Raises PlayheadError where the log or the keys are away.
    """
    state_key = require_keys(deployment).state_key()
    accounts = await read_accounts(deployment)
    broker, report = deployment.broker(), SigningReport()
    with saying_why(broker):
        async with publishing(deployment) as publisher, reading(broker) as consumer:
            signing = _Signing(consumer, publisher, state_key, accounts, report, dry_run=dry_run)
            ends = {place: await signing.sign(place) for place in _places(broker)}
        if not dry_run:
            async with administering(broker) as admin:
                await admin.delete_records(
                    {place: RecordsToDelete(before_offset=end) for place, end in ends.items()}
                )
    return report


def _places(broker: Broker) -> list[TopicPartition]:
    physical = broker.physical(ACCOUNT_EVENTS.name)
    return [TopicPartition(physical, number) for number in range(ACCOUNT_EVENTS.partitions)]


class _Signing:
    """One run."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        publisher: Publisher,
        state_key: SecretBytes,
        accounts: Mapping[str, Account],
        report: SigningReport,
        *,
        dry_run: bool,
    ) -> None:
        self._consumer = consumer
        self._publisher = publisher
        self._state_key = state_key
        self._accounts = accounts
        self._report = report
        self._dry_run = dry_run

    async def sign(self, place: TopicPartition) -> int:
        """Copy what stands before the partition's first signed record; that offset."""
        end: int = (await self._consumer.end_offsets([place]))[place]
        first_signed, copied = end, set[bytes]()
        async for raw in records_before(self._consumer, place, end):
            if is_genuine(self._state_key, ACCOUNT_EVENTS.name, raw):
                first_signed = min(first_signed, raw.offset)
                copied.add(_digest(raw))
        rows: list[tuple[str, bytes]] = []
        async for raw in records_before(self._consumer, place, first_signed):
            self._report.unsigned += 1
            try:
                row = self._row(raw)
            except InvalidMessageError as error:
                await self._bury(raw, error)
                continue
            self._report.signed += 1
            if _digest(raw) not in copied:
                rows.append(row)
            if len(rows) == ROWS_MAX:
                await self._copy(rows)
        await self._copy(rows)
        return first_signed

    def _row(self, raw: RawRecord) -> tuple[str, bytes]:
        """Raises InvalidMessageError for what must not be signed."""
        if MAC_HEADER in dict(raw.headers or ()):
            raise InvalidMessageError("forged", "its MAC is wrong")
        try:
            key, value = (raw.key or b"").decode(), raw.value or b""
        except UnicodeDecodeError as error:
            raise InvalidMessageError("key", "the record's key is not UTF-8") from error
        require_plausible(_events.decode(value), key, self._accounts.get(key))
        return key, value

    async def _copy(self, rows: list[tuple[str, bytes]]) -> None:
        if not self._dry_run:
            await self._publisher.publish_many(ACCOUNT_EVENTS, rows)
        rows.clear()

    async def _bury(self, raw: RawRecord, error: InvalidMessageError) -> None:
        self._report.buried += 1
        if not self._dry_run:
            await publish_dead_letter(
                self._publisher,
                ACCOUNT_EVENTS,
                raw,
                error,
                failed_at_ms=system_clock(),
                agent="operator",
            )


def _digest(raw: RawRecord) -> bytes:
    return sha256((raw.key or b"") + b"\x1f" + (raw.value or b"")).digest()
