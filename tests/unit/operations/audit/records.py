"""Decisions as the log and the table hold them, chained, and what tampering makes of them."""

from __future__ import annotations

from msgspec.structs import replace

from infra.operations.audit.comparing import Bounds
from infra.operations.audit.entries import Entry, read_entry
from schemas import codec
from schemas.licenses import DecisionFacts, LicenseDecision
from streams.chain import Chain
from tests.builders import NOW_MS

DAY_MS = 86_400_000


def some_payloads(count: int, *, start_ms: int = NOW_MS) -> list[bytes]:
    """Records of one partition, as the license agent writes them."""
    chain = Chain()
    return [
        codec.encode(
            chain.link(
                LicenseDecision(
                    decision_id=f"decision-{number}",
                    request_id=f"request-{number}",
                    action="license",
                    outcome="denied" if number % 3 == 0 else "granted",
                    reason="ok",
                    account_id="account-1",
                    session_id="session-1",
                    facts=DecisionFacts(plan="standard"),
                    policy_version="1",
                    decided_at_ms=start_ms + number,
                    source_partition=0,
                    source_offset=number,
                ),
                0,
            )[0]
        )
        for number in range(count)
    ]


def entries(payloads: list[bytes], *, first_offset: int = 0) -> list[Entry]:
    """As read from the place, one offset after another."""
    return [
        read_entry(first_offset + index, payload, at_ms=0) for index, payload in enumerate(payloads)
    ]


def changed(entry: Entry) -> Entry:
    """The entry of a record one of whose fields was changed in its place."""
    return replace(entry, hash=entry.hash[::-1])


def bounds(end: int, *, begin: int = 0, stored_until: int | None = None) -> Bounds:
    """Everything is young enough to be kept."""
    return Bounds(
        log_begin=begin,
        log_end=end,
        stored_until=end if stored_until is None else stored_until,
        log_kept_from_ms=NOW_MS - 400 * DAY_MS,
        table_kept_from_ms=NOW_MS - 400 * DAY_MS,
    )
