"""The catalog agent's shell: requests in, `catalog.titles.v1` (its state and changelog) out.

A change is published before it is answered, so that an answer never outlives a crash. Changes of
one title go out in the order they were decided: the publisher keeps a partition's order.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any, Final

import faust

from agents.catalog.policy import CatalogDecision, decide
from agents.catalog.soundness import CatalogLimits
from agents.shell import ShellPorts, serve
from schemas.catalog import CatalogRequest, PutTitle, Title, TitleStored
from schemas.codec import Decoder
from schemas.envelope import Request, Role
from schemas.errors import InvalidMessageError
from streams.records import Record
from streams.replies import Asked, Desk
from streams.topics import CATALOG_REQUESTS, CATALOG_TITLES
from streams.view import View

log = logging.getLogger(__name__)

ASKERS: Final[frozenset[Role]] = frozenset({"gateway", "packager"})


class CatalogAgent:
    """Owns the titles."""

    name = "catalog"

    def __init__(self, ports: ShellPorts, desk: Desk, limits: CatalogLimits) -> None:
        self._ports = ports
        self._desk = desk
        self._limits = limits
        self._titles: dict[str, Title] = {}
        self._decoder: Decoder[CatalogRequest] = Decoder(CatalogRequest)

    async def start(self) -> None:
        """Read every title."""
        stored: View[Title] = View(
            self._ports.broker,
            CATALOG_TITLES,
            clock=self._ports.clock,
            state_key=self._ports.state_key,
        )
        await stored.start()
        self._titles = dict(stored.items())
        await stored.stop()
        log.info("the catalog has %d titles", len(self._titles))

    def attach(self, app: faust.App) -> None:
        """Take requests."""
        serve(app, CATALOG_REQUESTS, self.handle, self._ports)

    async def stop(self) -> None:
        """Nothing is open."""

    def handle(self, record: Record[Request]) -> Coroutine[Any, Any, None] | None:
        """Decide on one request; returns the publishing and the answer."""
        asked = self._desk.open(record, roles=ASKERS)
        if asked is None:
            return None
        request = self._decoder.decode(asked.request.body)
        content_id = (
            request.title.content_id if isinstance(request, PutTitle) else request.content_id
        )
        if record.key != content_id:
            raise InvalidMessageError("key", "the record's key is not the content's id")
        current = self._titles.get(content_id)
        decision = decide(request, current, self._limits, self._ports.clock())
        if decision.is_change:
            if isinstance(decision.answer, TitleStored):
                self._titles[content_id] = decision.answer.title
            else:
                del self._titles[content_id]
        return self._act(asked, content_id, decision)

    async def _act(self, asked: Asked, content_id: str, decision: CatalogDecision) -> None:
        answer = decision.answer
        if decision.is_change:
            title = answer.title if isinstance(answer, TitleStored) else None
            await self._ports.publisher.publish(CATALOG_TITLES, content_id, title)
            log.info("title %s %s", content_id, "stored" if title else "removed")
        await self._desk.reply(asked, answer)
