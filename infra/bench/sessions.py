"""The sessions that a flood posts for: what each had acknowledged, and what of it is stored."""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import Final, TypeVar

import aiohttp
import msgspec

from infra.bench.flood import Flooded, FloodPlan, first_sequence
from infra.bench.tokens import a_session
from infra.sandbox import Sandbox

T = TypeVar("T")

STORED_TIMEOUT_S: Final = 1_800.0
STANDSTILL_S: Final = 60.0


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of everything that was acknowledged."""

    lost: int
    doubled: int
    after_s: float
    """From the question until all was there."""


class FloodedSessions:
    """Sessions for one connection each, over several floods."""

    def __init__(
        self, sandbox: Sandbox, count: int, events_per_post: int, *, url: str = ""
    ) -> None:
        """`url`: of a gateway beside the sandbox's first."""
        self._sandbox = sandbox
        self._url = url or sandbox.deployment.gateway_url()
        self._events_per_post = events_per_post
        self._source = f"flood-{secrets.token_hex(4)}"
        self._sessions = tuple(a_session(sandbox.deployment) for _ in range(count))
        self._posts = [0] * count

    @property
    def acknowledged_events(self) -> int:
        """Over all floods."""
        return sum(self._posts) * self._events_per_post

    async def flood(
        self,
        *,
        seconds: float,
        posts_per_s: float,
        connections: int,
        core: int | None = None,
        nice: int = 0,
    ) -> Flooded:
        """One more, from a process of its own."""
        plan = FloodPlan(
            url=self._url,
            sessions=self._sessions[:connections],
            source=self._source,
            first_posts=tuple(self._posts[:connections]),
            events_per_post=self._events_per_post,
            posts_per_s=posts_per_s,
            seconds=seconds,
            core=core,
            nice=nice,
        )
        flooded = await run_process("infra.bench.flood", plan, Flooded)
        self._posts[:connections] = flooded.acknowledged_posts
        return flooded

    async def until_stored(self) -> Stored:
        """Wait until as many events are stored as were acknowledged, or no more come."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        last, last_s = -1, started_s
        while True:
            stored = await self._stored()
            found = sum(distinct for _, distinct, _ in stored.values())
            now_s = loop.time()
            if found != last:
                last, last_s = found, now_s
            lost = self._lost(stored)
            if lost == 0 or now_s - last_s > STANDSTILL_S or now_s - started_s > STORED_TIMEOUT_S:
                doubled = sum(count - distinct for count, distinct, _ in stored.values())
                return Stored(lost=lost, doubled=doubled, after_s=now_s - started_s)
            await asyncio.sleep(2.0)

    def _lost(self, stored: dict[str, tuple[int, int, int]]) -> int:
        """Each session's sequences are gapless from the first POST to the last acknowledged one."""
        lost = 0
        for (session_id, _), posts in zip(self._sessions, self._posts, strict=True):
            _, distinct, highest = stored.get(session_id, (0, 0, 0))
            gaps = highest - first_sequence(self._events_per_post) + 1 - distinct if distinct else 0
            lost += max(gaps, posts * self._events_per_post - distinct, 0)
        return lost

    async def _stored(self) -> dict[str, tuple[int, int, int]]:
        """By session: rows, distinct sequences, the highest one."""
        deployment = self._sandbox.deployment
        query = (
            "SELECT toString(session_id), count(), uniqExact(sequence), max(sequence) "  # noqa: S608 - the database is the settings'
            f"FROM {deployment.database}.events WHERE source = {{source:String}} "
            "GROUP BY session_id FORMAT JSONCompactEachRowWithNames"
        )
        params = {
            "query": query,
            "param_source": self._source,
            "output_format_json_quote_64bit_integers": "0",
        }
        async with (
            aiohttp.ClientSession() as http,
            http.get(deployment.reader_address(), params=params) as response,
        ):
            response.raise_for_status()
            lines = (await response.read()).splitlines()[1:]
        rows = [msgspec.json.decode(line, type=tuple[str, int, int, int]) for line in lines]
        return {session_id: (count, distinct, top) for session_id, count, distinct, top in rows}


async def run_process(module: str, plan: msgspec.Struct, found: type[T]) -> T:
    """What the module prints, given the plan on its standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(msgspec.json.encode(plan))
    if process.returncode != 0:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    return msgspec.json.decode(output, type=found)
