"""What the clients know: an append-only file outside of the system, on disk before anything counts.

A batch is written down before it is first sent, and its outcome before the client acts on it.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import msgspec

from infra.faults.payloads import Posted

Outcome = Literal["acked", "rejected", "unavailable", "unknown"]
SPOOL_FILES_MAX = 64


class Sent(msgspec.Struct, frozen=True, kw_only=True, tag="sent"):
    """A batch, before it is sent for the first time."""

    batch: int
    session_id: str
    source: str
    is_orderly: bool
    """Whether its session sends nothing before all before it is acknowledged."""
    events: tuple[Posted, ...]


class Told(msgspec.Struct, frozen=True, kw_only=True, tag="told"):
    """What the client was told of a batch's valid events; the last one counts.

    `refused`: sequence numbers of what was answered 4xx.
    """

    batch: int
    session_id: str
    outcome: Outcome
    refused: tuple[int, ...] = ()


Entry = Sent | Told
_decoder = msgspec.json.Decoder(Entry)


class ClientLedger:
    """Appends; entries that come together share one flush to the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        """Events by outcome, of batches that were told of."""
        self._file: IO[bytes] = path.open("ab", buffering=0)
        self._pending = bytearray()
        self._flushed: asyncio.Future[None] | None = None
        self._flushing: asyncio.Task[None] | None = None

    async def write(self, entry: Entry) -> None:
        """Returns once the entry is on disk."""
        self._pending += msgspec.json.encode(entry) + b"\n"
        if self._flushed is None:
            self._flushed = asyncio.get_running_loop().create_future()
        mine = self._flushed
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await mine

    async def _flush(self) -> None:
        while self._flushed is not None:
            data, done = bytes(self._pending), self._flushed
            self._pending.clear()
            self._flushed = None
            await asyncio.to_thread(self._write_through, data)
            done.set_result(None)
        self._flushing = None

    def _write_through(self, data: bytes) -> None:
        self._file.write(data)
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Nothing is written any more."""
        self._file.close()


class Account(msgspec.Struct):
    """What one session's client knows, event by event (sequence -> id and digest)."""

    is_orderly: bool
    acked: dict[int, Posted]
    doubtful: dict[int, Posted]
    """Sent, and not known to be stored: at most one row each."""
    rejected: dict[int, Posted]


def read_entries(path: Path) -> Iterator[Entry]:
    """The ledger from its beginning, entry by entry."""
    with path.open("rb") as file:
        for line in file:
            yield _decoder.decode(line)


def read_accounts(path: Path, folder: Path) -> Iterator[tuple[str, Account]]:
    """Session by session, in bounded memory: the ledger is first spread over files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    shares = [(folder / f"{number}.ndjson").open("wb") for number in range(SPOOL_FILES_MAX)]
    try:
        for entry in read_entries(path):
            share = shares[int(entry.session_id[-8:], 16) % SPOOL_FILES_MAX]
            share.write(msgspec.json.encode(entry) + b"\n")
    finally:
        for share in shares:
            share.close()
    for share in shares:
        yield from _fold(Path(share.name)).items()


def _fold(path: Path) -> dict[str, Account]:
    batches: dict[int, Sent] = {}
    told: dict[int, Told] = {}
    refused: dict[int, set[int]] = {}
    for entry in read_entries(path):
        if isinstance(entry, Sent):
            batches[entry.batch] = entry
        else:
            refused.setdefault(entry.batch, set()).update(entry.refused)
            known = told.get(entry.batch)
            if known is None or known.outcome != "acked":  # once acknowledged, always
                told[entry.batch] = entry
    accounts: dict[str, Account] = {}
    for number, batch in batches.items():
        account = accounts.setdefault(batch.session_id, Account(batch.is_orderly, {}, {}, {}))
        outcome = told[number].outcome if number in told else "unknown"
        for event in batch.events:
            if event.sequence in refused.get(number, ()) or not event.digest:
                account.rejected[event.sequence] = event
            elif outcome == "acked":
                account.acked[event.sequence] = event
            else:
                account.doubtful[event.sequence] = event
    return accounts
