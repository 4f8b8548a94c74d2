"""Follows the hash chain of one partition in one place, record by record; pure.

One record that does not fit says only that something is wrong; the one after it says what. So the
walk holds back what does not fit until it has seen its successor.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from infra.operations.audit.entries import Break, Entry, Kind, Where, break_at
from streams.chain import VOID_KEPT_MAX, is_behind


class Walk:
    """Takes entries in the order of their offsets; memory is that of a few of them.

    Decisions older than `kept_from_ms` may have been removed by retention.
    """

    def __init__(self, where: Where, partition: int, *, kept_from_ms: int) -> None:
        self._where: Where = where
        self.partition = partition
        self._kept_from_ms = kept_from_ms
        self._before: Entry | None = None
        self._head: Entry | None = None
        self._odd: Entry | None = None
        self.first: Entry | None = None
        self.last: Entry | None = None
        self.count = 0
        """Entries that were taken, repeated and void ones left out."""
        self.outcomes: Counter[str] = Counter()
        """Of those that counted and are genuine."""
        self.void_count = 0
        """Entries that never counted: another worker was first."""
        self._void: OrderedDict[str, None] = OrderedDict()

    def take(self, entry: Entry) -> list[Break]:
        """What the entry shows to be wrong with those before it."""
        if self.last is not None and entry.hash == self.last.hash:
            return []  # the same record again: its delivery was in doubt and it was sent twice
        if self._is_void(entry):
            return []
        self.count += 1
        if not entry.is_forged:
            self.outcomes[entry.outcome] += 1
        self.first = self.first or entry
        self.last = entry
        head, odd = self._head, self._odd
        if head is None:
            return self._begin(entry)
        if odd is None:
            if self._fits(entry, head) and not entry.is_forged:
                self._go_on(entry)
                return []
            self._odd = entry
            return []
        return self._judge(head, odd, entry)

    def end(self) -> list[Break]:
        """What is still held back when no more entries come."""
        head, odd = self._head, self._odd
        self._odd = None
        if head is None or odd is None:
            return []
        if odd.is_forged:
            return [self._one("forged", odd, "its MAC is wrong")]
        return self._between(head, odd)

    def _is_void(self, entry: Entry) -> bool:
        """As every reader sees it (`streams.chain`); a wrong MAC is told, whatever it is."""
        if self._head is None or self._before is None or entry.is_forged or entry.previous is None:
            return False
        if not is_behind(entry.number, self._head.number) and entry.previous not in self._void:
            return False
        self.void_count += 1
        self._void[entry.hash] = None
        if len(self._void) > VOID_KEPT_MAX:
            self._void.popitem(last=False)
        return True

    def _begin(self, entry: Entry) -> list[Break]:
        # What stood before the first record that is kept is not to be seen from here.
        self._go_on(entry)
        return [self._one("forged", entry, "its MAC is wrong")] if entry.is_forged else []

    def _judge(self, head: Entry, odd: Entry, entry: Entry) -> list[Break]:
        """`odd` did not fit to `head`, or is forged; `entry` is the next record."""
        if self._fits(entry, odd):
            found = [] if odd.previous == head.hash else self._between(head, odd)
            if odd.is_forged:
                found.append(self._one("forged", odd, "in the chain, but its MAC is wrong"))
            self._go_on(odd)
        elif self._fits(entry, head):
            found = [self._one("added", odd, "the chain goes on without it")]
        else:
            kept = "its MAC is wrong and " if odd.is_forged else ""
            found = [self._one("changed", odd, f"{kept}the record after it names another hash")]
        if entry.is_forged:
            self._odd = entry
        else:
            self._go_on(entry)
        return found

    def _between(self, head: Entry, odd: Entry) -> list[Break]:
        """Why `odd`, which is genuine as far as can be seen, does not name `head`."""
        if odd.offset > head.offset + 1:
            if odd.at_ms < self._kept_from_ms:
                return []  # old enough for its neighbors to have been removed by retention
            return [
                Break(
                    where=self._where,
                    partition=self.partition,
                    offset=head.offset + 1,
                    until_offset=odd.offset - 1,
                    kind="missing",
                    detail=f"offset {odd.offset} names a record that is not there",
                )
            ]
        if self._before is not None and odd.previous == self._before.hash:
            return [self._one("added", head, "the chain goes on from the record before it")]
        return [self._one("changed", head, f"offset {odd.offset} names another hash of it")]

    def _go_on(self, entry: Entry) -> None:
        self._before, self._head, self._odd = self._head, entry, None

    @staticmethod
    def _fits(entry: Entry, earlier: Entry) -> bool:
        is_next = entry.number in {earlier.number + 1, 0}
        return entry.previous is not None and entry.previous == earlier.hash and is_next

    def _one(self, kind: Kind, entry: Entry, detail: str) -> Break:
        return break_at(self._where, self.partition, entry.offset, kind, detail)
