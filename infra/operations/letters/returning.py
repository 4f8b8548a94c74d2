"""Drives letters back a few at a time, and stops where they come back as dead letters again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from aiokafka import TopicPartition

from infra.deployment import Deployment
from infra.operations.letters.box import read_letters
from infra.operations.letters.handling import LetterDesk
from infra.operations.letters.letter import Letter, LetterFilter
from infra.operations.log_access import CONSUMER_GROUPS, reads, saying_why
from streams.administering import administering, committed_offsets
from streams.producer import Receipt
from streams.topics import BY_NAME

FIRST_BATCH: Final = 5
BATCH_MAX: Final = 50
"""Of at most 1 MiB each: within what the publisher holds unacknowledged."""
RETURNED_MAX: Final = 3
"""More than so many that came back: their agent is not mended."""
WAIT_S_MAX: Final = 30.0
POLL_S: Final = 0.3

Source = tuple[str, int, int]


class Driven(msgspec.Struct, frozen=True, kw_only=True):
    """What came of letters that were to go back."""

    gone: tuple[str, ...]
    """Letter ids that were appended and did not come back while it was looked."""
    returned: Mapping[str, str]
    """Why they came back, by the id of the letter that they were."""
    left: tuple[str, ...]
    """Not touched: it was stopped before."""
    is_awaited: bool = True
    """False where an agent had not read them within the time: whether they stay is not known."""


async def drive_back(
    deployment: Deployment,
    desk: LetterDesk,
    letters: Sequence[Letter],
    on_handled: Callable[[int], None],
) -> Driven:
    """In their order; each batch is read by every agent of its topic before the next one goes.

    Raises UnavailableError where the log does not take one: those before it are handled.
    """
    gone, returned, done, size, is_awaited = list[str](), dict[str, str](), 0, FIRST_BATCH, True
    while done < len(letters) and len(returned) <= RETURNED_MAX and is_awaited:
        batch = letters[done : done + size]
        # Each is queued for its partition before any is waited for, so their order is kept.
        receipts = await asyncio.gather(*(desk.redrive(letter) for letter in batch))
        done, size = done + len(batch), BATCH_MAX
        on_handled(done)
        placed = {
            (letter.source_topic, receipt.partition, receipt.offset): letter.letter_id
            for letter, receipt in zip(batch, receipts, strict=True)
        }
        is_awaited = await _are_read(deployment, batch, receipts)
        back = await _came_back(deployment, batch, placed)
        returned |= back
        gone += [letter.letter_id for letter in batch if letter.letter_id not in back]
    return Driven(
        gone=tuple(gone),
        returned=returned,
        left=tuple(letter.letter_id for letter in letters[done:]),
        is_awaited=is_awaited,
    )


async def _came_back(
    deployment: Deployment, batch: Sequence[Letter], placed: Mapping[Source, str]
) -> dict[str, str]:
    back: dict[str, str] = {}
    for topic in {letter.source_topic for letter in batch}:
        for letter in await read_letters(deployment, LetterFilter(topic=topic)):
            was = placed.get(letter.source)
            if was is not None:
                back[was] = f"{letter.reason} ({letter.agent})"
    return back


async def _are_read(
    deployment: Deployment, batch: Sequence[Letter], receipts: Sequence[Receipt]
) -> bool:
    """Whether every group that reads the topics has gone past what was appended, in time."""
    broker = deployment.broker()
    ends: dict[TopicPartition, int] = {}
    for letter, receipt in zip(batch, receipts, strict=True):
        place = TopicPartition(broker.physical(letter.source_topic), receipt.partition)
        ends[place] = max(ends.get(place, 0), receipt.offset + 1)
    with saying_why(broker):
        async with administering(broker) as admin:
            begun_s = time.monotonic()
            while time.monotonic() - begun_s < WAIT_S_MAX:
                behind = False
                for group in CONSUMER_GROUPS:
                    own = {
                        place: end
                        for place, end in ends.items()
                        if reads(group, BY_NAME[broker.logical(place.topic)])
                    }
                    if own:
                        committed = await committed_offsets(admin, broker, group)
                        behind |= any(committed.get(place, -1) < end for place, end in own.items())
                if not behind:
                    return True
                await asyncio.sleep(POLL_S)
    return False
