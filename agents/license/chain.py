"""The audit chain: every decision carries the hash of the one before it in its partition."""

from __future__ import annotations

from hashlib import sha256

from msgspec.structs import replace

from schemas import codec
from schemas.licenses import LicenseDecision


def decision_hash(decision: LicenseDecision) -> str:
    """What the next decision of the partition names as `previous`."""
    return sha256(codec.encode(decision)).hexdigest()


class Chain:
    """The newest hash of each partition."""

    def __init__(self) -> None:
        self._heads: dict[int, str] = {}
        self.broken_count = 0
        """Decisions that did not follow the one before them: tampered with, or two writers."""

    def link(self, decision: LicenseDecision, partition: int) -> LicenseDecision:
        """The decision as it is to be published next in its partition."""
        linked = replace(decision, previous=self._heads.get(partition, ""))
        self._heads[partition] = decision_hash(linked)
        return linked

    def follow(self, decision: LicenseDecision, partition: int) -> bool:
        """Take a decision that was read; whether it follows the one before it.

        Retention may have removed what the first one that is read refers to.
        """
        head = self._heads.get(partition)
        self._heads[partition] = decision_hash(decision)
        is_next = head is None or decision.previous == head
        if not is_next:
            self.broken_count += 1
        return is_next
