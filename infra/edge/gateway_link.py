"""The edge's two ties to the gateway: it follows decisions and ships logs. Both outlive it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import aiohttp

from infra.edge.decisions import DecisionView
from infra.edge.logs import LogQueue
from infra.edge.metrics import EdgeMetrics
from schemas.codec import Decoder
from schemas.delivery import EdgeDecision
from schemas.errors import InvalidMessageError

SHIP_INTERVAL_S = 0.5
POST_TIMEOUT_S = 5.0
FLUSH_TIMEOUT_S = 2.0
IDLE_TIMEOUT_S = 20.0
BACK_OFF_S_MIN = 0.25
BACK_OFF_S_MAX = 5.0
LINE_BYTES_MAX = 64 << 10
# The gateway has read these and will never store them; sending them again changes nothing.
FINAL_REFUSALS = frozenset({400, 413, 415, 422})

log = logging.getLogger(__name__)


def back_off_s(failures: int) -> float:
    """Doubles from the least to the most; pure."""
    return min(BACK_OFF_S_MAX, BACK_OFF_S_MIN * 2.0 ** min(failures, 10))


class GatewayLink:
    """Talks to one gateway address with the token of a file, which is read anew each time."""

    def __init__(
        self,
        *,
        url: str,
        token_file: Path,
        decisions: DecisionView,
        logs: LogQueue,
        metrics: EdgeMetrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._decisions = decisions
        self._logs = logs
        self._metrics = metrics
        self._now_ms = now_ms
        self._decoder: Decoder[EdgeDecision] = Decoder(EdgeDecision)
        self.is_following = False
        self.heard_at_ms: int | None = None

    async def follow_decisions(self, client: aiohttp.ClientSession) -> None:
        """Runs until cancelled."""
        failures = 0
        while True:
            try:
                await self._follow_once(client)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                log.info("decisions are not followed: %s", type(error).__name__)
            failures = 0 if self.is_following else failures + 1
            self._set_following(False)
            await asyncio.sleep(back_off_s(failures))

    async def _follow_once(self, client: aiohttp.ClientSession) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=IDLE_TIMEOUT_S)
        url = f"{self._url}/v1/edge/decisions"
        async with client.get(url, headers=self._headers(), timeout=timeout) as answer:
            if answer.status != 200:
                log.warning("the gateway answers decisions with %d", answer.status)
                return
            self._set_following(True)
            async for line in answer.content:
                self.heard_at_ms = self._now_ms()
                self._take(line.strip())

    def _set_following(self, value: bool) -> None:
        self.is_following = value
        self._metrics.following.set(value)

    def _take(self, line: bytes) -> None:
        if not line:
            return  # A blank line keeps the connection alive.
        try:
            self._decisions.apply(self._decoder.decode(line))
        except InvalidMessageError as error:
            log.warning("a decision cannot be read: %s", error.reason)

    async def ship_logs(self, client: aiohttp.ClientSession) -> None:
        """Runs until cancelled; what is queued then is sent once more, briefly."""
        failures = 0
        try:
            while True:
                await asyncio.sleep(back_off_s(failures) if failures else SHIP_INTERVAL_S)
                failures = 0 if await self._ship_all(client) else failures + 1
        finally:
            try:
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    await self._ship_all(client)
            except TimeoutError:
                log.warning("%d log lines were not sent", len(self._logs))

    async def _ship_all(self, client: aiohttp.ClientSession) -> bool:
        while (batch := self._logs.next_batch()) is not None:
            last_sequence, count, body = batch
            outcome = await self._post(client, body)
            if outcome is None:
                return False
            self._logs.settle(last_sequence)
            self._metrics.logs.labels(outcome).inc(count)
        return True

    async def _post(self, client: aiohttp.ClientSession, body: bytes) -> str | None:
        """`stored` or `refused`; None where the same lines must be sent again."""
        headers = {**self._headers(), "Content-Type": "application/x-ndjson"}
        timeout = aiohttp.ClientTimeout(total=POST_TIMEOUT_S)
        url = f"{self._url}/v1/edge/logs"
        try:
            async with client.post(url, data=body, headers=headers, timeout=timeout) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        if 200 <= status < 300:
            return "stored"
        log.warning("the gateway answers logs with %d", status)
        return "refused" if status in FINAL_REFUSALS else None

    def _headers(self) -> dict[str, str]:
        # Read anew: whoever starts the edge may write or renew the token later.
        try:
            return {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}
        except FileNotFoundError:
            return {}
