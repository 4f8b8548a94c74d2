"""One chunk's rows into ClickHouse, exactly once, whatever happens in between.

The same bytes under the same token are sent until they are acknowledged. A token alone can lose
an insert (ClickHouse logs the token before the rows), so after any doubt what is stored is looked
up by offset, and what is missing is sent under a token of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Protocol

import msgspec

from agents.analytics.store import RowsRefusedError, Store, StoreUnavailableError
from schemas import codec
from schemas.errors import StopWorkerError

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

RETRY_S_MIN: Final = 0.1
RETRY_S_MAX: Final = 5.0
REPAIRS_MAX: Final = 20
REFUSED_ROWS_MAX: Final = 100
"""More rows than this refused of one chunk: the table is wrong, not the rows."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The table of a chunk, and where the chunk lies in the log."""

    table: str
    topic: str
    partition: int
    first: int
    last: int
    topic_column: str = "topic"


class Rows(Protocol):
    """Rows of one table, in the order of their offsets."""

    @property
    def offsets(self) -> Sequence[int]:
        """Where each row's record lies."""

    @property
    def shape(self) -> str:
        """What stands in the INSERT behind the table: columns, where not all, and format."""

    def part(self, positions: Sequence[int]) -> Rows:
        """Some of the rows."""

    def body(self) -> bytes:
        """The bytes of the insert; always the same."""


class Line(msgspec.Struct, frozen=True):
    """A row, encoded."""

    offset: int
    data: bytes


def encode_line(offset: int, columns: dict[str, Any]) -> Line:
    """The row of an offset."""
    return Line(offset, codec.encode(columns))


class Lines:
    """Rows as lines of JSON."""

    shape = "FORMAT JSONEachRow"

    def __init__(self, lines: Sequence[Line] = ()) -> None:
        self._lines = lines

    @property
    def offsets(self) -> Sequence[int]:
        """Where each row's record lies."""
        return [line.offset for line in self._lines]

    def part(self, positions: Sequence[int]) -> Lines:
        """Some of the rows."""
        return Lines([self._lines[position] for position in positions])

    def body(self) -> bytes:
        """A line for each row."""
        return b"\n".join([line.data for line in self._lines])


class ChunkWriter:
    """Writes to one store; waits as long as it is away."""

    def __init__(
        self,
        store: Store,
        *,
        on_outage: Callable[[], None] = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._store = store
        self._sleep = sleep
        self._on_outage = on_outage

    async def write(
        self, place: Place, token: str, rows: Rows, *, stored: Collection[int] | None
    ) -> list[int]:
        """Returns when every row is stored, but for those of the offsets returned: they never can.

        `stored`: the offsets from `place.first` to one beyond `place.last` that are rows already,
        where an earlier process may have sent the chunk; None where none has. Raises
        StopWorkerError where ClickHouse refuses so much that going on would empty the log into
        dead letters.
        """
        missing, is_rest = _to_send(place, rows, stored or ())
        is_doubted, refused = stored is not None, list[int]()
        failures, repairs = 0, int(is_rest)
        body = missing.body() if missing.offsets else b""
        while missing.offsets:
            current = f"{token}#r{repairs}" if repairs else token
            try:
                await self._store.insert(place.table, body, current, shape=missing.shape)
            except StoreUnavailableError as error:
                # Sent again under its token, what was stored stays, and what materialized views
                # did not get for it they get now.
                is_doubted = True
                await self._back_off(error, failures)
                failures += 1
                continue
            except RowsRefusedError as error:
                missing, bad = await self._part(place, current, missing, error)
                refused += bad
                is_doubted = True
            if not is_doubted:
                break
            # The token may have swallowed what was never stored.
            missing = without(missing, await self.query_stored(place))
            body = missing.body() if missing.offsets else b""
            repairs += 1
            if repairs > REPAIRS_MAX:
                raise StopWorkerError(f"{place.table} does not keep what it acknowledges")
        return refused

    async def query_stored(self, place: Place) -> set[int]:
        """The offsets of the chunk, and the one after it, that are rows already.

        Waits while ClickHouse is away.
        """
        attempt = 0
        while True:
            try:
                return await self._store.stored_offsets(
                    place.table,
                    place.topic_column,
                    place.topic,
                    place.partition,
                    place.first,
                    place.last + 1,
                )
            except StoreUnavailableError as error:
                await self._back_off(error, attempt)
                attempt += 1

    async def _back_off(self, error: StoreUnavailableError, attempt: int) -> None:
        log.warning("ClickHouse is away: %s", error)
        self._on_outage()
        await self._sleep(min(RETRY_S_MAX, RETRY_S_MIN * 2 ** min(attempt, 10)))

    async def _part(
        self, place: Place, token: str, rows: Rows, error: RowsRefusedError
    ) -> tuple[Rows, list[int]]:
        """Find the rows that ClickHouse cannot read, by halving; the others are stored."""
        bad: list[int] = []
        halves = [rows]
        while halves:
            part = halves.pop()
            offsets = part.offsets
            part_token = f"{token}#{offsets[0]}-{offsets[-1]}"
            try:
                await self._store.insert(place.table, part.body(), part_token, shape=part.shape)
            except StoreUnavailableError as away:
                await self._back_off(away, 3)
                halves.append(part)
            except RowsRefusedError:
                if len(offsets) > 1:
                    middle = len(offsets) // 2
                    halves += [
                        part.part(range(middle)),
                        part.part(range(middle, len(offsets))),
                    ]
                    continue
                bad.append(offsets[0])
                if len(bad) > REFUSED_ROWS_MAX:
                    raise StopWorkerError(f"{place.table} refuses rows: {error}") from error
        return without(rows, bad), bad


def without(rows: Rows, offsets: Collection[int]) -> Rows:
    """The rows of other offsets."""
    kept = [at for at, offset in enumerate(rows.offsets) if offset not in offsets]
    return rows if len(kept) == len(rows.offsets) else rows.part(kept)


def _to_send(place: Place, rows: Rows, stored: Collection[int]) -> tuple[Rows, bool]:
    """The rows to send first, and whether they are only the rest of a chunk.

    A chunk that is stored as a whole is sent again under its own token: ClickHouse may have been
    killed between the rows and its materialized views. Not so where more than the chunk is stored:
    it was cut otherwise then, and its token is not known.
    """
    rest = without(rows, stored) if stored else rows
    if rest.offsets:
        return rest, rest is not rows
    return (rest, True) if place.last + 1 in stored else (rows, False)
