"""The load: sessions that post batches at a steady rate and never give one up but on purpose.

Half of the sessions are orderly: what is not acknowledged is sent again before anything later is.
The others post several batches at once, in any order, and abandon a few. All of them post some
batches again long after they were acknowledged, as clients do that missed an answer.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import msgspec

from infra.faults.ledger import ClientLedger, Outcome, Sent, Told
from infra.faults.payloads import SOURCE, Made, make_event, make_invalid
from streams.clock import Clock

BATCH_EVENTS: Final = 25
SESSION_BATCHES: Final = 200
"""Then the client opens another session."""
POST_TIMEOUT_S: Final = 15.0
RETRY_S: Final = (0.1, 1.0)
UNRULY_AT_ONCE: Final = 4
DUPLICATE_RATIO: Final = 0.1
ABANDON_RATIO: Final = 0.02
INVALID_RATIO: Final = 0.1
"""Of batches, that hold one event which must be refused."""
BEHIND_S_MAX: Final = 2.0
"""What a client missed while it waited is not made up for beyond this."""

OpenSession = Callable[[], tuple[str, str]]
"""A new session id and its token."""


class _Refused(msgspec.Struct):
    index: int


class _Answer(msgspec.Struct):
    accepted: int = 0
    refused: tuple[_Refused, ...] = ()


@dataclass(slots=True)
class Tally:
    """What the crowd has seen so far."""

    open_posts: int = 0
    """Sent and not answered, now."""
    posts: int = 0
    acked_events: int = 0
    acked_at_s: float = 0.0
    """When the last batch was acknowledged (monotonic)."""
    statuses: dict[int, int] = field(default_factory=dict)
    """0: no answer."""
    wrong: list[str] = field(default_factory=list)
    """Answers that no client should ever get."""


class Crowd:
    """All clients; `stop` lets each finish what it has begun."""

    def __init__(
        self,
        root_url: str,
        ledger: ClientLedger,
        open_session: OpenSession,
        clock: Clock,
        *,
        clients: int,
        rate_per_s: float,
        seed: int,
    ) -> None:
        self.tally = Tally()
        self._root_url = root_url
        self._ledger = ledger
        self._open_session = open_session
        self._clock = clock
        self._clients = clients
        self._interval_s = clients * BATCH_EVENTS / rate_per_s
        self._seed = seed
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._http: aiohttp.ClientSession | None = None
        self._batches = 0
        self._acked: set[int] = set()

    async def start(self) -> None:
        """Begin to post."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=POST_TIMEOUT_S),
        )
        for number in range(self._clients):
            chance = random.Random(f"{self._seed}:{number}")  # noqa: S311 - to be repeated
            client = Client(self, chance, is_orderly=number % 2 == 0)
            self._tasks.append(asyncio.create_task(client.run(self._interval_s)))

    async def stop(self) -> None:
        """Returns when every batch has its last outcome. Raises what a client raised."""
        self._stopping.set()
        try:
            await asyncio.gather(*self._tasks)
        finally:
            assert self._http is not None
            await self._http.close()

    @property
    def is_stopping(self) -> bool:
        """Whether clients begin nothing new."""
        return self._stopping.is_set()

    def check(self) -> None:
        """Raise what a client has raised by now."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def rest(self, seconds: float) -> None:
        """Sleep, or return at once when the crowd is to stop."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
        else:
            await asyncio.sleep(0)

    def new_session(self) -> tuple[str, str]:
        """An id, and where its events go."""
        session_id, token = self._open_session()
        return session_id, f"{self._root_url}/s/{token}/events"

    def now_ms(self) -> int:
        """Of the clients' clock."""
        return self._clock()

    async def remember(self, session_id: str, made: list[Made], *, is_orderly: bool) -> int:
        """Write a batch down; its number."""
        self._batches += 1
        number = self._batches
        posted = tuple(each.posted for each in made)
        await self._ledger.write(
            Sent(
                batch=number,
                session_id=session_id,
                source=SOURCE,
                is_orderly=is_orderly,
                events=posted,
            )
        )
        return number

    async def post(self, url: str, body: bytes, session_id: str, batch: int, size: int) -> Outcome:
        """One attempt, its outcome written down. `size`: how many of its events are valid."""
        assert self._http is not None
        tally = self.tally
        tally.open_posts += 1
        tally.posts += 1
        try:
            async with self._http.post(url, data=body, headers=NDJSON) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, OSError):  # TimeoutError is one of them.
            status, content = 0, b""
        finally:
            tally.open_posts -= 1
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        outcome, accepted = outcome_of(status, content)
        if outcome == "acked":
            if batch not in self._acked:  # a tenth of them is posted again
                self._acked.add(batch)
                tally.acked_events += accepted
            tally.acked_at_s = time.monotonic()
            if accepted != size:
                tally.wrong.append(f"{accepted} of {size} valid events accepted")
        elif outcome == "rejected":
            tally.wrong.append(f"{status}: {content[:200]!r}")
        await self._ledger.write(Told(batch=batch, session_id=session_id, outcome=outcome))
        return outcome


NDJSON: Final = {"Content-Type": "application/x-ndjson"}


def outcome_of(status: int, content: bytes) -> tuple[Outcome, int]:
    """What an answer says of a batch's valid events, and how many were accepted."""
    if status in {202, 207}:
        return "acked", msgspec.json.decode(content, type=_Answer).accepted
    if status == 0:
        return "unknown", 0
    if status == 429 or status >= 500:
        return "unavailable", 0
    return "rejected", 0


class Client:
    """One player after another."""

    def __init__(self, crowd: Crowd, chance: random.Random, *, is_orderly: bool) -> None:
        self._crowd = crowd
        self._chance = chance
        self._is_orderly = is_orderly
        self._slots = asyncio.Semaphore(1 if is_orderly else UNRULY_AT_ONCE)
        self._posts: set[asyncio.Task[None]] = set()
        self._invalid = 0

    async def run(self, interval_s: float) -> None:
        """Until the crowd stops; then until everything has its outcome."""
        next_s = time.monotonic() + self._chance.uniform(0, interval_s)
        while not self._crowd.is_stopping:
            session_id, url = self._crowd.new_session()
            for number in range(SESSION_BATCHES):
                await self._crowd.rest(next_s - time.monotonic())
                if self._crowd.is_stopping:
                    break
                next_s = max(next_s, time.monotonic() - BEHIND_S_MAX) + interval_s
                await self._slots.acquire()
                post = asyncio.create_task(self._send(session_id, url, number))
                self._posts.add(post)
                post.add_done_callback(self._on_sent)
        while self._posts:
            await asyncio.wait(set(self._posts))

    def _on_sent(self, post: asyncio.Task[None]) -> None:
        self._posts.discard(post)
        self._slots.release()
        post.result()

    async def _send(self, session_id: str, url: str, number: int) -> None:
        crowd, chance = self._crowd, self._chance
        made = self._make(session_id, number * BATCH_EVENTS)
        batch = await crowd.remember(session_id, made, is_orderly=self._is_orderly)
        if not self._is_orderly:
            await asyncio.sleep(chance.uniform(0, 0.3))  # The next one may overtake it.
        body = b"\n".join(each.line for each in made)
        size = sum(bool(each.posted.digest) for each in made)
        abandons = not self._is_orderly and chance.random() < ABANDON_RATIO
        while await crowd.post(url, body, session_id, batch, size) != "acked":
            if abandons:
                return
            await asyncio.sleep(chance.uniform(*RETRY_S))
        if chance.random() < DUPLICATE_RATIO:
            await crowd.post(url, body, session_id, batch, size)

    def _make(self, session_id: str, first: int) -> list[Made]:
        now_ms = self._crowd.now_ms()
        made = [
            make_event(session_id, first + number, now_ms + number, self._chance)
            for number in range(BATCH_EVENTS)
        ]
        if self._chance.random() < INVALID_RATIO:
            invalid = make_invalid(session_id, self._invalid, now_ms, self._chance)
            self._invalid += 1
            made.insert(self._chance.randrange(len(made)), invalid)
        return made
