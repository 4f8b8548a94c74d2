"""The packager's side of the log: keys from the license agent, titles to the catalog agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.deployment import Deployment
from infra.wiring.parts import GATEWAY_DELIVERY_TIMEOUT_MS, open_parts
from schemas.catalog import ContentId, PutTitle, RemoveTitle, Tier, Title, TitleRemoved, TitleStored
from schemas.licenses import ContentKeys, RequestContentKeys, TierKey
from streams.requests import Asker
from streams.topics import CATALOG_REQUESTS, KEY_REQUESTS

DEADLINE_MS = 10_000


class Packager:
    """Asks for keys and stores titles; each call raises RefusedError or NoAnswerError."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def request_keys(
        self, content_id: ContentId, tiers: tuple[Tier, ...]
    ) -> tuple[TierKey, ...]:
        """One key per tier; the license agent makes those that are missing."""
        question = RequestContentKeys(content_id=content_id, tiers=tiers)
        answer: ContentKeys = await self._asker.ask(
            KEY_REQUESTS, content_id, question, ContentKeys, deadline_ms=DEADLINE_MS
        )
        return answer.keys

    async def put(self, title: Title) -> Title:
        """List the title, or replace what is listed."""
        answer: TitleStored = await self._asker.ask(
            CATALOG_REQUESTS,
            title.content_id,
            PutTitle(title=title),
            TitleStored,
            deadline_ms=DEADLINE_MS,
        )
        return answer.title

    async def remove(self, content_id: ContentId) -> None:
        """Take the title from the catalog; media and keys stay."""
        await self._asker.ask(
            CATALOG_REQUESTS,
            content_id,
            RemoveTitle(content_id=content_id),
            TitleRemoved,
            deadline_ms=DEADLINE_MS,
        )


@asynccontextmanager
async def open_packager(deployment: Deployment) -> AsyncIterator[Packager]:
    """Connect as the enrolled packager."""
    async with open_parts(
        deployment,
        "playhead-packager",
        delivery_timeout_ms=GATEWAY_DELIVERY_TIMEOUT_MS,
        holds_state_key=False,
    ) as parts:
        asker = parts.asker("packager")
        await asker.start()
        try:
            yield Packager(asker)
        finally:
            await asker.stop()
