"""Drives dead letters back or gives them up, and records either."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal

from infra.deployment import Deployment
from infra.operations.letters.box import handled_key
from infra.operations.letters.letter import Letter
from infra.operations.letters.redrive import headers_back
from infra.operations.log_access import publishing
from schemas.operations import HandledLetter
from streams.clock import Clock
from streams.partitions import GROWING
from streams.producer import Publisher, Receipt
from streams.topics import BY_NAME, DEAD_LETTERS_HANDLED

AT_ONCE: Final = 50
"""Of at most 1 MiB each: within what the publisher holds unacknowledged."""


class LetterDesk:
    """Handles letters; what it did is acknowledged before it says so."""

    def __init__(self, publisher: Publisher, *, clock: Clock, by: str) -> None:
        self._publisher = publisher
        self._clock = clock
        self._by = by

    async def redrive(self, letter: Letter) -> Receipt:
        """Append the record to its topic as it was, then record that; where it stands now.

        Between the two a kill leaves the letter listed: driven back again, it keeps its identity.
        """
        topic, headers = BY_NAME[letter.source_topic], headers_back(letter)
        if topic in GROWING:  # the key may have its place elsewhere by now
            key = letter.key.decode()
            receipt = await self._publisher.publish(topic, key, letter.value, headers=headers)
        else:
            receipt = await self._publisher.publish_raw(
                topic.name, letter.key, letter.value, headers, letter.source_partition
            )
        await self._record(letter, "redriven")
        return receipt

    async def drop(self, letter: Letter) -> None:
        """Record that nobody wants it; the letter stays in its topic until it is too old."""
        await self._record(letter, "dropped")

    async def _record(self, letter: Letter, outcome: Literal["redriven", "dropped"]) -> None:
        handled = HandledLetter(
            letter_topic=letter.letter_topic,
            letter_offset=letter.offset,
            source_topic=letter.source_topic,
            source_partition=letter.source_partition,
            source_offset=letter.source_offset,
            outcome=outcome,
            reason=letter.reason,
            by=self._by,
            at_ms=self._clock(),
        )
        await self._publisher.publish(DEAD_LETTERS_HANDLED, handled_key(letter), handled)


async def handle_all(
    letters: Sequence[Letter],
    handle: Callable[[Letter], Awaitable[None]],
    on_handled: Callable[[int], None],
) -> None:
    """Handle letters in their order, so many at a time; told how many are done.

    Raises UnavailableError where the log does not take one: those before it are handled.
    """
    for first in range(0, len(letters), AT_ONCE):
        batch = letters[first : first + AT_ONCE]
        # Each is queued for its partition before any is waited for, so their order is kept.
        await asyncio.gather(*(handle(letter) for letter in batch))
        on_handled(first + len(batch))


@asynccontextmanager
async def open_letter_desk(deployment: Deployment, clock: Clock) -> AsyncIterator[LetterDesk]:
    """Connect as the operator who runs the command."""
    async with publishing(deployment) as publisher:
        yield LetterDesk(publisher, clock=clock, by=getpass.getuser())
