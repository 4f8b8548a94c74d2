"""A flood of event POSTs from one process on one core, and how far it fell behind itself.

Closed loop: every connection posts as soon as it was answered. Open loop: POSTs are due at a fixed
rate, answered or not; one is sent late where no connection is free, and that is told. A POST that
was not acknowledged is sent again as it was, as clients do.
`python -m infra.bench.flood` reads its plan from standard input and prints what it found.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter, deque
from typing import Final
from urllib.parse import urlsplit

import msgspec
import uvloop

from infra.bench.heartbeats import heartbeat_around_sequence
from infra.bench.load import percentile, status_of

TICK_S: Final = 0.001
FIRST_POST: Final = 1_000_000
"""Seven digits, whatever the number."""
SLACK_S: Final = 15.0


class FloodPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    url: str
    """Of the gateway."""
    sessions: tuple[tuple[str, str], ...]
    """Session id and token, a connection for each."""
    source: str
    first_posts: tuple[int, ...]
    """The number of each session's next POST."""
    events_per_post: int
    posts_per_s: float
    """0: closed loop."""
    seconds: float
    core: int | None = None
    """Any, where it is not told."""
    nice: int = 0


class Flooded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Latencies are from the moment a POST was sent."""

    took_s: float
    sent: int
    answered: dict[int, int]
    """By status; 0: the connection ended without an answer."""
    acknowledged_posts: tuple[int, ...]
    """Of each session: so many of its first POSTs are acknowledged by now."""
    admitted_p50_ms: float
    admitted_p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    lag_p99_ms: float
    """How late POSTs were sent: behind the clock, or for want of a free connection."""
    lag_ms_max: float
    overdue: int
    """Never sent: still waiting at the end."""
    cpu_share: float
    """Of its core, that it used."""


class Flood:
    """The generator."""

    def __init__(self, plan: FloodPlan) -> None:
        self.plan = plan
        self.body = template(plan.source, plan.events_per_post)
        self.idle: deque[Channel] = deque()
        self.is_over = False
        self.sent = 0
        self.answered: Counter[int] = Counter()
        self.admitted_ms: list[float] = []
        self.refused_ms: list[float] = []
        self.lags_ms: list[float] = []
        self.due: deque[float] = deque()
        parts = urlsplit(plan.url)
        self.address = (str(parts.hostname), int(parts.port or 80))
        self._channels = [
            Channel(self, session_id, token, first)
            for (session_id, token), first in zip(plan.sessions, plan.first_posts, strict=True)
        ]

    async def run(self) -> Flooded:
        """All of it."""
        await asyncio.gather(*(channel.connect() for channel in self._channels))
        started_s, cpu_s = time.perf_counter(), time.process_time()
        if self.plan.posts_per_s:
            await self._post_on_time(started_s)
        else:
            for channel in list(self.idle):
                self.free(channel)
            await asyncio.sleep(self.plan.seconds)
        took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        self.is_over = True
        acknowledged = self.answered[202]
        await self._settle()
        found = self._found(took_s, cpu_s / took_s)
        # What was answered after the end counts as stored, not as throughput.
        return msgspec.structs.replace(found, answered=found.answered | {202: acknowledged})

    def free(self, channel: Channel) -> None:
        """The channel was answered."""
        if self.is_over:
            return
        if not self.plan.posts_per_s:
            channel.post()
        elif self.due:
            self._send(channel, self.due.popleft())
        else:
            self.idle.append(channel)

    async def _post_on_time(self, started_s: float) -> None:
        rate, seconds = self.plan.posts_per_s, self.plan.seconds
        made = 0
        while (now_s := time.perf_counter() - started_s) < seconds:
            while made < now_s * rate:
                self.due.append(started_s + made / rate)
                made += 1
            while self.due and self.idle:
                self._send(self.idle.popleft(), self.due.popleft())
            await asyncio.sleep(TICK_S)

    def _send(self, channel: Channel, due_s: float) -> None:
        self.lags_ms.append((time.perf_counter() - due_s) * 1000)
        channel.post()

    async def _settle(self) -> None:
        """Wait for what is on its way: only then is known what was acknowledged."""
        deadline_s = time.perf_counter() + SLACK_S
        while any(c.is_waiting for c in self._channels):
            if time.perf_counter() > deadline_s:
                return
            await asyncio.sleep(0.05)

    def _found(self, took_s: float, cpu_share: float) -> Flooded:
        return Flooded(
            took_s=took_s,
            sent=self.sent,
            answered=dict(self.answered),
            acknowledged_posts=tuple(channel.number for channel in self._channels),
            admitted_p50_ms=percentile(self.admitted_ms, 0.5),
            admitted_p99_ms=percentile(self.admitted_ms, 0.99),
            refused_p50_ms=percentile(self.refused_ms, 0.5),
            refused_p99_ms=percentile(self.refused_ms, 0.99),
            lag_p99_ms=percentile(self.lags_ms, 0.99),
            lag_ms_max=max(self.lags_ms, default=0.0),
            overdue=len(self.due),
            cpu_share=cpu_share,
        )


class Channel(asyncio.Protocol):
    """One connection and its session; one POST at a time, again until it is acknowledged."""

    def __init__(self, flood: Flood, session_id: str, token: str, number: int) -> None:
        self.number = number
        self.is_waiting = False
        self._flood = flood
        self._session_id = session_id
        self._token = token
        self._request = b""
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._sent_s = 0.0

    async def connect(self) -> None:
        """Ready to post."""
        loop = asyncio.get_running_loop()
        host, port = self._flood.address
        self._transport, _ = await loop.create_connection(lambda: self, host, port)
        if not self._request:
            self._advance(self.number)
        self._flood.idle.append(self)

    def post(self) -> None:
        """Send what is not acknowledged yet."""
        assert self._transport is not None
        self.is_waiting = True
        self._sent_s = time.perf_counter()
        self._flood.sent += 1
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """An answer, perhaps in parts."""
        self._received += data
        status = status_of(self._received)
        if status is None:
            return
        self._received = b""
        self.is_waiting = False
        self._take(status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Come again: what had no answer is sent once more."""
        if self.is_waiting:
            self._flood.answered[0] += 1
        self.is_waiting = False
        self._received = b""
        if not self._flood.is_over:
            self._flood.idle = deque(each for each in self._flood.idle if each is not self)
            self._again = asyncio.get_running_loop().create_task(self.connect())

    def _take(self, status: int) -> None:
        flood = self._flood
        took_ms = (time.perf_counter() - self._sent_s) * 1000
        flood.answered[status] += 1
        if status == 202:
            flood.admitted_ms.append(took_ms)
            self._advance(self.number + 1)
        else:
            flood.refused_ms.append(took_ms)
        flood.free(self)

    def _advance(self, number: int) -> None:
        self.number = number
        body = self._flood.body
        body = body.replace(b"SESSION", self._session_id.encode())
        body = body.replace(b"1NUMBER", b"%07d" % (FIRST_POST + number))
        host, port = self._flood.address
        head = (
            f"POST /s/{self._token}/events HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Content-Type: application/x-ndjson\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body


def template(source: str, events: int) -> bytes:
    """The lines of a POST; SESSION and 1NUMBER stand where each POST differs.

    `events` is a power of ten, so that the sequences of one POST follow those of the one before.
    """
    digits = len(str(events)) - 1
    assert events == 10**digits, "a power of ten"
    head, tail = heartbeat_around_sequence("SESSION", source)
    return b"".join(
        b'%b"id":"0199a1f0-6c00-7000-8000-%05d1NUMBER","sequence":1NUMBER%b%b\n'
        % (head, i, b"%0*d" % (digits, i) if digits else b"", tail)
        for i in range(events)
    )


def first_sequence(events: int) -> int:
    """Of a session's first event, with so many events a POST."""
    return FIRST_POST * events


def main() -> None:
    """Read the plan, flood, print."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=FloodPlan)
    if plan.core is not None:
        os.sched_setaffinity(0, {plan.core})
    os.nice(plan.nice)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(Flood(plan).run())
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
