"""One chunk's rows into ClickHouse, exactly once, whatever happens in between.

The same bytes under the same token are sent until they are acknowledged. A token alone can lose
an insert (ClickHouse logs the token before the rows), so after any doubt what is stored is looked
up by offset, and what is missing is sent under a token of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

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


class Line(msgspec.Struct, frozen=True):
    """A row, encoded."""

    offset: int
    data: bytes


def encode_line(offset: int, columns: dict[str, Any]) -> Line:
    """The row of an offset."""
    return Line(offset, codec.encode(columns))


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
        self, place: Place, token: str, lines: Sequence[Line], *, stored: Collection[int] | None
    ) -> list[Line]:
        """Returns when every line is stored, but for those returned: they can never be.

        `stored`: the offsets from `place.first` to one beyond `place.last` that are rows already,
        where an earlier process may have sent the chunk; None where none has. Raises
        StopWorkerError where ClickHouse refuses so much that going on would empty the log into
        dead letters.
        """
        missing, is_rest = _to_send(place, lines, stored or ())
        is_doubted, refused = stored is not None, list[Line]()
        failures, repairs = 0, int(is_rest)
        while missing:
            current = f"{token}#r{repairs}" if repairs else token
            try:
                await self._store.insert(place.table, _body(missing), current)
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
            missing = await self._missing(place, missing)
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

    async def _missing(self, place: Place, lines: list[Line]) -> list[Line]:
        stored = await self.query_stored(place)
        return [line for line in lines if line.offset not in stored]

    async def _back_off(self, error: StoreUnavailableError, attempt: int) -> None:
        log.warning("ClickHouse is away: %s", error)
        self._on_outage()
        await self._sleep(min(RETRY_S_MAX, RETRY_S_MIN * 2 ** min(attempt, 10)))

    async def _part(
        self, place: Place, token: str, lines: list[Line], error: RowsRefusedError
    ) -> tuple[list[Line], list[Line]]:
        """Find the rows that ClickHouse cannot read, by halving; the others are stored."""
        bad: list[Line] = []
        halves = [lines]
        while halves:
            part = halves.pop()
            try:
                await self._store.insert(
                    place.table, _body(part), f"{token}#{part[0].offset}-{part[-1].offset}"
                )
            except StoreUnavailableError as away:
                await self._back_off(away, 3)
                halves.append(part)
            except RowsRefusedError:
                if len(part) > 1:
                    middle = len(part) // 2
                    halves += [part[:middle], part[middle:]]
                    continue
                bad.append(part[0])
                if len(bad) > REFUSED_ROWS_MAX:
                    raise StopWorkerError(f"{place.table} refuses rows: {error}") from error
        offsets = {line.offset for line in bad}
        return [line for line in lines if line.offset not in offsets], bad


def _to_send(
    place: Place, lines: Sequence[Line], stored: Collection[int]
) -> tuple[list[Line], bool]:
    """The lines to send first, and whether they are only the rest of a chunk.

    A chunk that is stored as a whole is sent again under its own token: ClickHouse may have been
    killed between the rows and its materialized views. Not so where more than the chunk is stored:
    it was cut otherwise then, and its token is not known.
    """
    rest = [line for line in lines if line.offset not in stored]
    if rest:
        return rest, len(rest) < len(lines)
    return ([], True) if place.last + 1 in stored else (list(lines), False)


def _body(lines: Sequence[Line]) -> bytes:
    return b"\n".join(line.data for line in lines)
