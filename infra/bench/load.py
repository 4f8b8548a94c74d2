"""An HTTP load generator on bare sockets, light enough not to be what is measured."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

import msgspec

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one closed-loop load."""

    requests: int
    took_s: float
    latencies_ms: list[float]
    statuses: dict[int, int]

    def percentile_ms(self, share: float) -> float:
        """The latency below which this share of requests was answered."""
        return percentile(self.latencies_ms, share)


def percentile(values: list[float], share: float) -> float:
    """Nearest rank; 0 where there is nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Target:
    """What one connection posts, where to."""

    url: str
    headers: dict[str, str]
    make_body: Callable[[], bytes]


async def run_load(targets: list[Target], *, seconds: float) -> LoadResult:
    """POST as fast as the answers come, on one connection a target."""
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    started_s = time.perf_counter()
    deadline_s = started_s + seconds
    await asyncio.gather(*(_client(each, deadline_s, latencies, statuses) for each in targets))
    return LoadResult(
        requests=sum(statuses.values()),
        took_s=time.perf_counter() - started_s,
        latencies_ms=latencies,
        statuses=dict(statuses),
    )


async def _client(
    target: Target, deadline_s: float, latencies: list[float], statuses: Counter[int]
) -> None:
    parts = urlsplit(target.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
    try:
        while time.perf_counter() < deadline_s:
            body = target.make_body()
            sent_s = time.perf_counter()
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            status = await _read_answer(reader)
            latencies.append((time.perf_counter() - sent_s) * 1000)
            statuses[status] += 1
    finally:
        writer.close()


OnStatus = Callable[[int], None]
"""Told the status of an answer; 0 where none came in time."""


class Poster:
    """Posts over connections that are kept; it opens as many as it has requests open.

    `players`: so many connections take turns, as if each were a player's own. A POST costs no task
    and no time-out of asyncio's: at thousands a second those would be what is measured.
    """

    def __init__(self, url: str, *, players: int, within_s: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._netloc = parts.netloc
        self._players = players
        self._within_s = within_s
        self._free: deque[_Connection] = deque()
        self._opening: set[asyncio.Task[None]] = set()

    def post(self, path: str, body: bytes, on_status: OnStatus) -> None:
        """Send it now, or as soon as a connection is open."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        request = head.encode() + body
        while len(self._free) > self._players:
            connection = self._free.popleft()
            if connection.is_open:
                connection.send(request, on_status, self._within_s)
                return
        opening = asyncio.create_task(self._open(request, on_status))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _open(self, request: bytes, on_status: OnStatus) -> None:
        loop = asyncio.get_running_loop()
        connecting = loop.create_connection(
            lambda: _Connection(self._free.append), self._host, self._port
        )
        try:
            _, connection = await asyncio.wait_for(connecting, self._within_s)
        except (OSError, TimeoutError):
            on_status(0)
            return
        if connection.is_open:
            connection.send(request, on_status, self._within_s)
        else:
            on_status(0)

    def close(self) -> None:
        """Close what is kept."""
        for connection in self._free:
            connection.close()
        self._free.clear()


class _Connection(asyncio.Protocol):
    """One request at a time; `on_free` is told when the next may come."""

    def __init__(self, on_free: Callable[[_Connection], None]) -> None:
        self._on_free = on_free
        self._transport: asyncio.Transport | None = None
        self._on_status: OnStatus = _nobody
        self._deadline: asyncio.TimerHandle | None = None
        self._received = b""

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, on_status: OnStatus, within_s: float) -> None:
        assert self._transport is not None, "connected"
        self._on_status = on_status
        self._deadline = asyncio.get_running_loop().call_later(within_s, self.close)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        status = status_of(self._received)
        if status is not None:
            self._received = b""
            on_status = self._answered()
            # Free before it is told: what is posted then may take this one.
            self._on_free(self)
            on_status(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self._answered()(0)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _answered(self) -> OnStatus:
        if self._deadline is not None:
            self._deadline.cancel()
        on_status, self._on_status = self._on_status, _nobody
        return on_status


def _nobody(status: int) -> None:
    """Asked for the status of what was closed, or answered, already."""


def status_of(received: bytes) -> int | None:
    """Of a whole answer; None while there is more to come."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(received, 0, end)
    if len(received) < end + 4 + (int(length[1]) if length is not None else 0):
        return None
    return int(received[9:12])


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(x[15:]) for x in lines if x.startswith(b"content-length:")), 0)
    if length:
        await reader.readexactly(length)
    return int(lines[0].split()[1])
