"""The decisions of a partition as one chain: each names the one that it follows.

It is the audit's proof, and what keeps two workers from granting one slot twice. A decision counts
only if it follows the newest one that counts: of two that were made on the same knowledge the first
in the log does, the other is void for every reader, whoever wrote it and however late (optimistic
concurrency: compare and append). A writer learns which by the offset that its decision got.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from schemas import codec
from schemas.licenses import LicenseDecision

VOID_KEPT_MAX: Final = 10_000
"""Void decisions of a partition that are remembered: what follows one of them is void as well."""


def payload_hash(payload: bytes) -> str:
    """The hash of a decision as its record holds it: SHA-256, hexadecimal."""
    return sha256(payload).hexdigest()


def decision_hash(decision: LicenseDecision) -> str:
    """What the next decision of the partition names as `previous`."""
    return payload_hash(codec.encode(decision))


def is_behind(number: int, newest: int) -> bool:
    """Whether a decision's number says that another was first. The oldest logs have none (0)."""
    return number <= newest and newest > 0


class Standing(Enum):
    """What a decision that was read is."""

    NEXT = auto()
    """Follows the one before it: it counts."""
    VOID = auto()
    """Another was first, or it is a copy: it never counted."""
    BROKEN = auto()
    """Follows what nobody has read: something was removed or changed. It counts, and is told."""


@dataclass(slots=True)
class _Head:
    """The newest decision that counts."""

    hash: str = ""
    number: int = 0
    next_offset: int = 0
    """Everything before it was read, or is of this process and on its way."""
    void: OrderedDict[str, None] = field(default_factory=OrderedDict)


class Chain:
    """The head of each partition, as far as it was read or written here."""

    def __init__(self) -> None:
        self._heads: dict[int, _Head] = {}
        self.broken_count = 0
        """Decisions that follow what was removed or changed."""
        self.void_count = 0

    def link(self, decision: LicenseDecision, partition: int) -> tuple[LicenseDecision, int]:
        """The decision as it is to be published next, and the offset where it counts."""
        head = self._heads.setdefault(partition, _Head())
        linked = replace(decision, previous=head.hash, number=head.number + 1)
        offset = head.next_offset
        head.hash, head.number = decision_hash(linked), linked.number
        head.next_offset = offset + 1
        return linked, offset

    def follow(self, decision: LicenseDecision, partition: int, offset: int) -> Standing:
        """Take a decision that was read, in the order of the log; what it is.

        Retention may have removed what the first one that is read refers to.
        """
        head = self._heads.get(partition)
        if head is None:
            head = _Head(decision.previous, max(decision.number - 1, 0))
            self._heads[partition] = head
        head.next_offset = offset + 1
        name = decision_hash(decision)
        if name == head.hash:  # a copy of the newest: what follows that one still counts
            self.void_count += 1
            return Standing.VOID
        if is_behind(decision.number, head.number) or decision.previous in head.void:
            head.void[name] = None
            if len(head.void) > VOID_KEPT_MAX:
                head.void.popitem(last=False)
            self.void_count += 1
            return Standing.VOID
        is_next = decision.previous == head.hash and decision.number in {head.number + 1, 0}
        head.hash, head.number = name, decision.number
        if not is_next:
            self.broken_count += 1
        return Standing.NEXT if is_next else Standing.BROKEN

    def is_read_to(self, partition: int, end_offset: int) -> None:
        """Nothing else stands before this offset: a tail that retention or nobody has left."""
        head = self._heads.setdefault(partition, _Head())
        head.next_offset = max(head.next_offset, end_offset)
