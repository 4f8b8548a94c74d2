"""A player in Python: it fetches, asks, measures and posts as players do, and never gives up."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from lxml import etree

from tests.restarts.attempts import Attempts
from tests.restarts.client_ledger import ClientLedger, Fact
from tests.restarts.viewing import Viewing

TICK_S = 0.2
EVENTS_PER_TICK = 7
RETRY_S = 0.2
LOOK_S = 0.4
REQUEST_TIMEOUT_S = 12
POSTS_MAX = 8
"""In flight at once; what waits behind them is the player's queue."""
SETTLE_TIMEOUT_S = 60
SERVED_FROM = ".//{urn:mpeg:dash:schema:mpd:2011}BaseURL[@serviceLocation]"
TYPES = ("heartbeat", "bandwidth", "seek", "bandwidth", "interaction", "pause", "bandwidth")

Look = Callable[[], Awaitable[int]]


class Viewer:
    """Everything that one session's player does at once."""

    def __init__(self, viewing: Viewing, http: aiohttp.ClientSession) -> None:
        self._viewing = viewing
        self._http = http
        self._root = f"{viewing.root_url}/s/{viewing.session_token}"
        self._bases: list[str] = []
        self._segment = 0
        self._posts: list[asyncio.Task[None]] = []
        self._posting = asyncio.Semaphore(POSTS_MAX)
        self.ledger = ClientLedger(viewing.session_id, f"player-{random.randbytes(4).hex()}")
        self.attempts = Attempts()
        self.outcomes: set[str] = set()
        """What answers of 503 said about the events."""

    async def start(self) -> None:
        """The first manifest, license and frame; raises where one of them is not given."""
        for name, look in self._looks().items():
            assert await look() == 200, name
        self._post([("play", 0), ("playing", 0)])

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Viewer]:
        """Play until left; then stop, and go on sending until every event is acknowledged."""
        looking = [
            asyncio.create_task(self._look_again(name, look))
            for name, look in self._looks().items()
        ]
        posting = asyncio.create_task(self._post_again())
        try:
            yield self
        finally:
            for task in (*looking, posting):
                task.cancel()
            await asyncio.gather(*looking, posting, return_exceptions=True)
        for task in (*looking, posting):
            assert task.cancelled() or task.exception() is None, task.exception()
        await self.settle()

    async def settle(self) -> None:
        """Wait until every event that was sent is acknowledged."""
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            await asyncio.gather(*self._posts)

    async def close(self) -> None:
        """The last event of each topic: once they are stored, all before them were looked at."""
        await self.settle()
        self._post([("bandwidth", 0), ("stopped", 0)])
        await self.settle()

    def _looks(self) -> dict[str, Look]:
        return {
            "manifest": self._fetch_manifest,
            "segment": self._fetch_segment,
            "license": self._ask_license,
            "steering": lambda: self._get(f"{self._root}/steering?kf=dashjs"),
            "bitrate": lambda: self._get(f"{self._root}/bitrate"),
            "account": lambda: self._get(
                f"{self._viewing.root_url}/v1/account", self._viewing.bearer
            ),
            "recommendations": lambda: self._get(
                f"{self._viewing.root_url}/v1/profiles/{self._viewing.profile_id}/recommendations",
                self._viewing.bearer,
            ),
        }

    async def _look_again(self, name: str, look: Look) -> None:
        while True:
            await self._attempt(name, look)
            await asyncio.sleep(LOOK_S)

    async def _attempt(self, name: str, look: Look) -> int:
        """The status, noted; 0 where there was no answer."""
        began_s, status = time.monotonic(), 0
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                status = await look()
        except (aiohttp.ClientError, OSError):  # TimeoutError is one of them.
            pass
        self.attempts.note(name, began_s, status)
        return status

    async def _get(self, url: str, headers: dict[str, str] | None = None) -> int:
        async with self._http.get(url, headers=headers) as response:
            await response.read()
            return response.status

    async def _fetch_manifest(self) -> int:
        async with self._http.get(f"{self._root}/manifest.mpd") as response:
            body = await response.read()
            if response.status == 200:
                bases = etree.fromstring(body).findall(SERVED_FROM)
                self._bases = [base.text for base in bases if base.text]
            return response.status

    async def _fetch_segment(self) -> int:
        """The next segment from the first CDN that gives it, as players fail over."""
        number = self._segment % len(self._viewing.film.segments)
        status = 0
        for base in self._bases:
            url = f"{base}v360/{number + 1}.m4s?sid={self._viewing.session_id}"
            try:
                async with self._http.get(url) as response:
                    data, status = await response.read(), response.status
            except (aiohttp.ClientError, OSError):
                continue
            if status == 200:
                assert data == self._viewing.film.segments[number]
                self._segment += 1
                break
        return status

    async def _ask_license(self) -> int:
        kids = [bytes.fromhex(key_id) for key_id in self._viewing.film.key_ids.values()]
        texts = [base64.urlsafe_b64encode(kid).rstrip(b"=").decode() for kid in kids]
        # In another order each time: equal requests in flight would be answered once.
        random.shuffle(texts)
        body = msgspec.json.encode({"kids": texts, "type": "temporary"})
        async with self._http.post(self._viewing.license_url, data=body) as response:
            answer = await response.json(content_type=None)
            if response.status == 200:
                assert {key["kid"] for key in answer["keys"]} == set(texts)
            elif response.status == 503:
                assert "Retry-After" in response.headers
            return response.status

    async def _post_again(self) -> None:
        playhead_ms = 0
        while True:
            playhead_ms += round(TICK_S * 1000)
            self._post([(type_, playhead_ms) for type_ in TYPES[:EVENTS_PER_TICK]])
            await asyncio.sleep(TICK_S)

    def _post(self, wanted: list[tuple[str, int]]) -> None:
        events = [self.ledger.new_event(type_, playhead_ms) for type_, playhead_ms in wanted]
        lines = b"\n".join(msgspec.json.encode(event) for _, event in events)
        facts = [fact for fact, _ in events]
        self._posts.append(asyncio.create_task(self._post_until_taken(facts, lines)))

    async def _post_until_taken(self, facts: list[Fact], lines: bytes) -> None:
        """The same bytes until the gateway says that they are durable."""
        async with self._posting:
            while (status := await self._attempt("events", lambda: self._post_lines(lines))) != 202:
                assert status in {0, 503}, f"the gateway answers events with {status}"
                await asyncio.sleep(RETRY_S)
        self.ledger.acknowledge(facts)

    async def _post_lines(self, lines: bytes) -> int:
        headers = {"Content-Type": "application/x-ndjson"}
        async with self._http.post(
            self._viewing.events_url, data=lines, headers=headers
        ) as response:
            answer = await response.json(content_type=None)
            if response.status == 503:
                assert "Retry-After" in response.headers
                self.outcomes.add(answer["outcome"])
            return response.status
