"""The log as a shadow reads it: spans of partitions, in order, without a group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.analytics.windows import Span, Window, find_spans
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from streams.broker import Broker
from streams.reader import RecordReader
from streams.records import Record
from streams.topics import Topic

POLL_MS: Final = 200
READ_RECORDS_MAX: Final = 2_000


@asynccontextmanager
async def _consumer(broker: Broker) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **broker.client_options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=POLL_MS,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


class ShadowReader:
    """Reads topics of one broker; MACs are checked where a topic has them."""

    def __init__(self, broker: Broker, state_key: SecretBytes) -> None:
        self._broker = broker
        self._state_key = state_key
        self.unreadable_count = 0

    async def spans(self, topic: Topic, window: Window) -> dict[int, Span]:
        """The window by partition; those that are empty are left out."""
        async with _consumer(self._broker) as consumer:
            found = await find_spans(
                consumer, self._broker.physical(topic.name), topic.partitions, window
            )
        return {span.partition: span for span in found}

    async def records(self, topic: Topic, span: Span | None) -> AsyncIterator[Record[Any]]:
        """Every readable record of the span; the others are counted."""
        if span is None:
            return
        reader = RecordReader(topic, state_key=self._state_key)
        place = TopicPartition(self._broker.physical(topic.name), span.partition)
        async with _consumer(self._broker) as consumer:
            consumer.assign([place])
            consumer.seek(place, span.start)
            while await consumer.position(place) < span.end:
                fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=READ_RECORDS_MAX)
                for raw in fetched.get(place, []):
                    if raw.offset >= span.end:
                        return
                    try:
                        yield reader.read(raw)
                    except InvalidMessageError:
                        self.unreadable_count += 1

    async def newest(self, topic: Topic) -> dict[str, Any]:
        """The newest value of each key of a compacted topic, as of now."""
        values: dict[str, Any] = {}
        for span in (await self.spans(topic, Window())).values():
            async for record in self.records(topic, span):
                if record.value is None:
                    values.pop(record.key, None)
                else:
                    values[record.key] = record.value
        return values

    async def merged(
        self, sources: Sequence[tuple[Topic, Span | None]]
    ) -> AsyncIterator[Record[Any]]:
        """The records of several spans by the broker's time; equal times in the sources' order."""
        heads: list[tuple[Record[Any], AsyncIterator[Record[Any]]] | None] = []
        streams = [self.records(topic, span) for topic, span in sources]
        try:
            for stream in streams:
                head = await anext(stream, None)
                heads.append(None if head is None else (head, stream))
            while True:
                waiting = [
                    (entry[0].timestamp_ms, index)
                    for index, entry in enumerate(heads)
                    if entry is not None
                ]
                if not waiting:
                    return
                index = min(waiting)[1]
                entry = heads[index]
                assert entry is not None
                yield entry[0]
                head = await anext(entry[1], None)
                heads[index] = None if head is None else (head, entry[1])
        finally:
            for stream in streams:
                async with aclosing(stream):  # type: ignore[type-var]  # a generator, typed as what it gives
                    pass
