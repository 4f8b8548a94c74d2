"""The letter box: every dead letter that nobody has handled, read from the log."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.deployment import Deployment
from infra.operations.letters.letter import SUFFIX, Letter, LetterFilter, letter_of
from infra.operations.log_access import read_newest, reading
from schemas.errors import PlayheadError
from schemas.operations import HandledLetter
from streams.broker import Broker
from streams.topics import DEAD_LETTERS_HANDLED, TOPICS

LETTERS_MAX = 100_000
BYTES_MAX = 256 << 20
POLL_MS = 250


class TooManyLettersError(PlayheadError):
    """More than a command holds in memory: narrow the filter."""


async def read_letters(
    deployment: Deployment, wanted: LetterFilter, *, with_handled: bool = False
) -> list[Letter]:
    """The letters that the filter takes, oldest first, without those that were handled.

    Raises LogUnreachableError, TooManyLettersError.
    """
    handled = {} if with_handled else await read_handled(deployment)
    found = [
        letter
        for letter in await _read_all(deployment.broker(), wanted)
        if handled_key(letter) not in handled
    ]
    return sorted(found, key=lambda letter: (letter.failed_at_ms, letter.letter_id))


async def read_handled(deployment: Deployment) -> dict[str, HandledLetter]:
    """What was driven back or dropped, by letter topic and offset."""
    return await read_newest(deployment, DEAD_LETTERS_HANDLED)


def handled_key(letter: Letter) -> str:
    """The key that the letter's handling is recorded under."""
    return f"{letter.letter_topic}:{letter.offset}"


async def _read_all(broker: Broker, wanted: LetterFilter) -> list[Letter]:
    names = [t.name for t in TOPICS if t.has_dead_letters and wanted.topic in ("", t.name)]
    places = {TopicPartition(broker.physical(name + SUFFIX), 0): name for name in names}
    if not places:
        return []
    async with reading(broker) as consumer:
        consumer.assign(list(places))
        ends = await consumer.end_offsets(list(places))
        await _seek(consumer, list(places), wanted.since_ms)
        letters: list[Letter] = []
        size_bytes = 0
        while await _is_behind(consumer, ends):
            for place, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                for record in records:
                    letter = letter_of(places[place], record)
                    if wanted.takes(letter):
                        letters.append(letter)
                        size_bytes += len(record.value or b"")
            if len(letters) > LETTERS_MAX or size_bytes > BYTES_MAX:
                raise TooManyLettersError(
                    f"more than {LETTERS_MAX} dead letters or {BYTES_MAX >> 20} MiB of them:"
                    " narrow it by --topic, --reason or --since"
                )
        return letters


async def _seek(
    consumer: AIOKafkaConsumer, places: list[TopicPartition], since_ms: int | None
) -> None:
    """To the start, or to what the broker took since then: it comes after the failure."""
    await consumer.seek_to_beginning(*places)
    if since_ms is None:
        return
    found = await consumer.offsets_for_times(dict.fromkeys(places, since_ms))
    nothing_since = [place for place in places if found.get(place) is None]
    if nothing_since:
        await consumer.seek_to_end(*nothing_since)
    for place in places:
        at = found.get(place)
        if at is not None:
            consumer.seek(place, at.offset)


async def _is_behind(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for place, end in ends.items():
        if await consumer.position(place) < end:
            return True
    return False
