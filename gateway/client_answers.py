"""What a client does after an answer of the gateway, or after none: a pure decision.

Whatever is not a clear word of the gateway about every event that was sent (no answer, half of one,
a proxy's page) leaves it open whether they are stored. They are sent again with the same identity
then, which costs nothing but the way: at most one row results.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import msgspec

Outcome = Literal["not_stored", "unknown"]

RETRY_AFTER_MS_MAX: Final = 600_000
BUSY: Final = frozenset({408, 429})
"""With every 5xx: the same request may succeed later."""
DAMAGED: Final = frozenset({"encoding", "truncated"})
"""Something on the way touches what is compressed."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the gateway will never take."""

    index: int
    """In what was sent."""
    status: int
    reason: str
    detail: str = ""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """Every event is durable but the refused ones, and those that are to be sent again."""

    refused: tuple[Refusal, ...] = ()
    again: frozenset[int] = frozenset()
    """Indexes."""


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """The same events later."""

    outcome: Outcome
    wait_ms_min: int = 0


class Smaller(msgspec.Struct, frozen=True, kw_only=True):
    """Half of them at once: one of them, or their size, is in the way of the others."""


class Uncompressed(msgspec.Struct, frozen=True, kw_only=True):
    """The same events at once, not compressed, and so from now on."""


class Unauthorized(msgspec.Struct, frozen=True, kw_only=True):
    """The same events with another token."""


Verdict = Settled | Again | Smaller | Uncompressed | Unauthorized
NO_ANSWER: Final = Again(outcome="unknown")


def judge(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    sent: int,
    is_compressed: bool,
    now_ms: int,
) -> Verdict:
    """What to do with the `sent` events that this is the whole answer to."""
    told = _object(body)
    refused = _refusals(told)
    if refused is not None and _is_about_all(status, told, refused, sent):
        final = tuple(each for each in refused if not _is_busy(each.status))
        later = frozenset(each.index for each in refused if _is_busy(each.status))
        return Settled(refused=final, again=later)
    if _is_busy(status):
        is_for_sure = told.get("outcome") == "not_stored" or status in BUSY
        return Again(
            outcome="not_stored" if is_for_sure else "unknown",
            wait_ms_min=_retry_after_ms(headers.get("Retry-After", ""), now_ms),
        )
    return _of_whole(status, str(told.get("reason", "")), sent, is_compressed=is_compressed)


def _of_whole(status: int, reason: str, sent: int, *, is_compressed: bool) -> Verdict:
    """Where the answer tells nothing of single events."""
    if status == 415 or (status == 400 and reason in DAMAGED):
        return Uncompressed() if is_compressed else Again(outcome="not_stored")
    if status in {401, 403}:
        return Unauthorized()
    if status == 413 or (status == 400 and reason and reason != "count"):
        if sent > 1:
            return Smaller()
        return Settled(refused=(Refusal(index=0, status=status, reason=reason or "too-large"),))
    return NO_ANSWER


def _is_about_all(
    status: int, told: dict[str, Any], refused: tuple[Refusal, ...], sent: int
) -> bool:
    accepted = told.get("accepted", 0)
    indexes = {each.index for each in refused if 0 <= each.index < sent}
    if not isinstance(accepted, int) or len(indexes) != len(refused):
        return False
    if accepted + len(refused) != sent:
        return False
    return status in {202, 207} if accepted else 400 <= status < 500


def _is_busy(status: int) -> bool:
    return status in BUSY or status >= 500


def _refusals(told: dict[str, Any]) -> tuple[Refusal, ...] | None:
    try:
        return msgspec.convert(told.get("refused", ()), tuple[Refusal, ...])
    except msgspec.ValidationError:
        return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after_ms(value: str, now_ms: int) -> int:
    """Seconds or an HTTP date (RFC 9110, section 10.2.3); 0 where it is neither."""
    try:
        if value.strip().isdecimal():
            wait_ms = int(value) * 1000
        else:
            at = parsedate_to_datetime(value)
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
            wait_ms = round((at - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds() * 1e3)
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(wait_ms, 0), RETRY_AFTER_MS_MAX)
