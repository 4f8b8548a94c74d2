"""Posts playback events to a gateway, from a queue on disk: nothing is lost, nothing counts twice.

    async with EventClient(
        "https://play.example/v1/events", token=ingest_token, queue=Path("events.sqlite")
    ) as client:
        await client.report("play", session_id, playhead_ms=0)
        await client.report("seek", session_id, playhead_ms=61_200, from_ms=61_200, to_ms=300_000)

`report` returns when the event is in the file, so it survives kill -9 of this process. It leaves
the file only when the gateway says that it is durable, or that it never will be; until then it is
sent again with the same id, source and sequence, of which at most one row results. Where the file
is full, `report` raises QueueFullError and nothing that is in it is lost.

For one session alone the URL is its `events_url`, and no token is needed. A token that changes is
given as an async function, which is asked again when the gateway refuses the last one; it raises
RetryableError where it has none now.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
import msgspec

from gateway.client_answers import (
    NO_ANSWER,
    Again,
    Refusal,
    Settled,
    Smaller,
    Unauthorized,
    Uncompressed,
    Verdict,
    judge,
)
from gateway.client_queue import DiskQueue, QueuedEvent
from schemas.errors import InvalidMessageError, RetryableError
from schemas.ids import uuid7
from streams.clock import Clock, system_clock

T = TypeVar("T")
TokenSource = Callable[[], Awaitable[str]]
OnRefused = Callable[[Mapping[str, Any], Refusal], None]

GZIP_WBITS: Final = 31
GZIP_LEVEL: Final = 4
COMPRESSED_BYTES_MIN: Final = 512
SESSIONS_MAX: Final = 100_000
"""Whose sequences are counted under one source."""

log = logging.getLogger(__name__)


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Every bound of the client, with its unit."""

    queue_bytes_max: int = 64 << 20
    batch_events_max: int = 500
    batch_bytes_max: int = 900_000
    """Before compression."""
    event_bytes_max: int = 64 << 10
    gather_ms: int = 50
    """How long an event waits for others to come along."""
    answer_deadline_ms: int = 15_000
    answer_bytes_max: int = 1 << 20
    backoff_ms_min: int = 500
    backoff_ms_max: int = 30_000
    unauthorized_ms: int = 60_000
    """Between attempts while every token is refused."""
    linger_ms: int = 5_000
    """How long the end waits for what is queued; the rest stays in the file."""


@dataclass
class Tally:
    """What became of the events that this client sent since it started."""

    accepted: int = 0
    refused: int = 0
    posts: int = 0
    failed_posts: int = 0
    """Those after which something was sent again."""


class EventClient:
    """Between `async with` and its end it sends; one queue file belongs to one client."""

    def __init__(
        self,
        url: str,
        *,
        queue: Path,
        token: str | TokenSource = "",
        on_refused: OnRefused | None = None,
        limits: ClientLimits | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._url = url
        self._path = queue
        self._token_source = token
        self._token: str | None = None
        self._on_refused = on_refused
        self._limits = limits or ClientLimits()
        self._clock = clock
        self._numbers = _Numbers()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._is_compressing = True
        self._wait_s = 0.0
        self._failures = 0
        self._has_new_token = False
        self._doubtful: list[QueuedEvent] = []
        self._batch_events_max = self._limits.batch_events_max
        self._queued = asyncio.Event()
        self._empty = asyncio.Event()
        self.tally = Tally()

    async def __aenter__(self) -> Self:
        """Opens the queue; QueueInUseError where another process has it."""
        self._queue: DiskQueue = await self._in_thread(
            DiskQueue, self._path, bytes_max=self._limits.queue_bytes_max
        )
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._limits.answer_deadline_ms / 1000)
        )
        self._tell()
        self._sender = asyncio.create_task(self._send_always(), name="events")
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self.flush(self._limits.linger_ms)
            self._sender.cancel()
            with suppress(asyncio.CancelledError):
                await self._sender
        finally:
            await self._http.close()
            await self._in_thread(self._queue.close)
            self._thread.shutdown()

    @property
    def pending_count(self) -> int:
        """Events in the file."""
        return self._queue.event_count

    async def report(self, type_: str, session_id: str, **fields: Any) -> str:
        """One event of now; its id. See `report_many`."""
        (event_id,) = await self.report_many([{"type": type_, "session_id": session_id, **fields}])
        return event_id

    async def report_many(self, events: Iterable[Mapping[str, Any]]) -> list[str]:
        """Their ids, once all are in the file; fields that are None are left out.

        `id`, `at`, `source` and `sequence` are made where they are not given. Raises QueueFullError
        where there is no room for all, InvalidMessageError where one is too large; none is taken
        then.
        """
        if self._sender.done():
            await self._sender  # raises what it died of
        named = [self._named(event) for event in events]
        encoded = [msgspec.json.encode(event) for event in named]
        if any(len(data) > self._limits.event_bytes_max for data in encoded):
            raise InvalidMessageError("too-large", f"at most {self._limits.event_bytes_max} bytes")
        await self._in_thread(self._queue.put, encoded)
        self._tell()
        return [str(event["id"]) for event in named]

    async def flush(self, timeout_ms: int | None = None) -> bool:
        """Waits until nothing is queued; False where that took too long."""
        emptied = asyncio.create_task(self._empty.wait())
        timeout_s = None if timeout_ms is None else timeout_ms / 1000
        try:
            await asyncio.wait(
                (emptied, self._sender), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            emptied.cancel()
        if self._sender.done():
            await self._sender  # raises what it died of
        return self._empty.is_set()

    def _named(self, event: Mapping[str, Any]) -> dict[str, Any]:
        now_ms = self._clock()
        made: dict[str, Any] = {
            "id": str(uuid7(now_ms, secrets.token_bytes(10))),
            "at": datetime.fromtimestamp(now_ms / 1000, UTC),
        }
        if event.get("sequence") is None:
            made["source"], made["sequence"] = self._numbers.next(str(event["session_id"]))
        return made | {name: value for name, value in event.items() if value is not None}

    def _tell(self) -> None:
        if self._queue.event_count:
            self._empty.clear()
            self._queued.set()
        else:
            self._queued.clear()
            self._empty.set()

    async def _send_always(self) -> None:
        while True:
            await self._queued.wait()
            if self._wait_s or self._queue.event_count < self._batch_events_max:
                await asyncio.sleep(max(self._wait_s, self._limits.gather_ms / 1000))
            batch = self._doubtful or await self._in_thread(
                self._queue.head, self._batch_events_max, self._limits.batch_bytes_max
            )
            verdict = await self._post(batch)
            self.tally.posts += 1
            self.tally.failed_posts += not isinstance(verdict, Settled)
            await self._apply(verdict, batch)

    async def _apply(self, verdict: Verdict, batch: list[QueuedEvent]) -> None:
        self._doubtful = []
        self._wait_s = 0.0
        match verdict:
            case Settled():
                await self._settle(verdict, batch)
            case Again(outcome=outcome, wait_ms_min=wait_ms_min):
                # What may be stored goes again as it was cut, before anything newer.
                self._doubtful = batch if outcome == "unknown" else []
                self._back_off(wait_ms_min, self._limits.backoff_ms_max)
            case Smaller():
                self._batch_events_max = max(1, len(batch) // 2)
            case Uncompressed():
                self._is_compressing = False
            case Unauthorized():
                self._renew_token()

    async def _settle(self, settled: Settled, batch: list[QueuedEvent]) -> None:
        gone = [event for index, event in enumerate(batch) if index not in settled.again]
        await self._in_thread(self._queue.remove, gone)
        self.tally.accepted += len(gone) - len(settled.refused)
        self.tally.refused += len(settled.refused)
        for refusal in settled.refused:
            event = msgspec.json.decode(batch[refusal.index].data)
            log.warning("event %s was refused: %s", event.get("id"), refusal.reason)
            if self._on_refused is not None:
                self._on_refused(event, refusal)
        self._failures = 0
        self._has_new_token = False
        self._batch_events_max = min(self._batch_events_max * 2, self._limits.batch_events_max)
        if settled.again:
            self._back_off(0, self._limits.backoff_ms_max)
        self._tell()

    def _back_off(self, wait_ms_min: int, backoff_ms_max: int) -> None:
        """Twice as long each time, and never all clients at once."""
        backoff_ms = min(backoff_ms_max, self._limits.backoff_ms_min * 2 ** min(self._failures, 16))
        self._failures += 1
        wait_ms = max(backoff_ms * random.uniform(0.5, 1), wait_ms_min * random.uniform(1, 1.25))  # noqa: S311 - spread, no secret
        self._wait_s = wait_ms / 1000

    def _renew_token(self) -> None:
        """A new token may do at once; where it does not, nothing is gained by haste."""
        self._token = None
        if self._has_new_token or isinstance(self._token_source, str):
            self._back_off(self._limits.unauthorized_ms, self._limits.unauthorized_ms)
        self._has_new_token = True

    async def _post(self, batch: Sequence[QueuedEvent]) -> Verdict:
        body = b'{"count":%d}\n' % len(batch) + b"\n".join(event.data for event in batch)
        headers = {"Content-Type": "application/x-ndjson"}
        is_compressed = self._is_compressing and len(body) >= COMPRESSED_BYTES_MIN
        if is_compressed:
            body = await self._in_thread(_gzip, body)
            headers["Content-Encoding"] = "gzip"
        try:
            if token := await self._current_token():
                headers["Authorization"] = f"Bearer {token}"
            async with self._http.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return judge(
                    answer.status,
                    answer.headers,
                    await self._read(answer),
                    sent=len(batch),
                    is_compressed=is_compressed,
                    now_ms=self._clock(),
                )
        except (aiohttp.ClientError, TimeoutError, OSError, RetryableError) as error:
            log.info("no whole answer to %d events: %s", len(batch), type(error).__name__)
            return NO_ANSWER

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        """The body; what is longer than ours ever are is none of ours."""
        told = b""
        async for chunk in answer.content.iter_any():
            told += chunk
            if len(told) > self._limits.answer_bytes_max:
                return b""
        return told

    async def _current_token(self) -> str:
        if self._token is None:
            source = self._token_source
            self._token = source if isinstance(source, str) else await source()
        return self._token

    async def _in_thread(self, call: Callable[..., T], *args: Any, **named: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: call(*args, **named))


class _Numbers:
    """Sequences of this start: gapless per session, so that the gateway's readers stay small."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._source = self._new_source()

    def next(self, session_id: str) -> tuple[str, int]:
        """Source and sequence of the session's next event."""
        if session_id not in self._next and len(self._next) >= SESSIONS_MAX:
            self._next.clear()
            self._source = self._new_source()
        number = self._next.get(session_id, 0)
        self._next[session_id] = number + 1
        return self._source, number

    @staticmethod
    def _new_source() -> str:
        return f"client-{secrets.token_hex(8)}"


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WBITS)
    return compressor.compress(body) + compressor.flush()
