"""An HTTP load generator on bare sockets, light enough not to be what is measured."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec


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


class Poster:
    """Posts over connections that are kept; it opens as many as it has requests open.

    `players`: so many connections take turns, as if each were a player's own.
    """

    def __init__(self, url: str, players: int = 0) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._netloc = parts.netloc
        self._players = players
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def post(self, path: str, body: bytes, *, within_s: float) -> int:
        """The status; 0 where no answer came in time."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await self._connection()
                writer.write(head.encode() + body)
                status = await _read_answer(reader)
        except (OSError, EOFError, TimeoutError):
            if writer is not None:
                writer.close()
            return 0
        self._free.append((reader, writer))
        return status

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while len(self._free) > self._players:
            reader, writer = self._free.popleft()
            # Without one of the two, uvloop raises RuntimeError when a reset one is written to.
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    def close(self) -> None:
        """Close what is kept."""
        for _, writer in self._free:
            writer.close()
        self._free.clear()


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(x[15:]) for x in lines if x.startswith(b"content-length:")), 0)
    if length:
        await reader.readexactly(length)
    return int(lines[0].split()[1])
