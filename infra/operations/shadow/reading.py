"""The log as a shadow reads it: spans of partitions, in order, without a group."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from heapq import heappop, heappush
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.analytics.windows import Span, Window, find_spans
from schemas.errors import InvalidMessageError
from schemas.licenses import LicenseDecision
from schemas.secrets import SecretBytes
from streams.broker import Broker
from streams.chain import Chain, Standing
from streams.partitions import count_partitions
from streams.reader import RecordReader
from streams.records import Record
from streams.topic import Topic

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
        self.void_count = 0
        """Decisions that never counted: of two workers another was first."""

    async def spans(self, topic: Topic, window: Window) -> dict[int, Span]:
        """The window by partition; those that are empty are left out."""
        count = await count_partitions(self._broker, topic)
        async with _consumer(self._broker) as consumer:
            found = await find_spans(consumer, self._broker.physical(topic.name), count, window)
        return {span.partition: span for span in found}

    async def records(self, topic: Topic, span: Span) -> AsyncGenerator[Record[Any], None]:
        """Every record of the span that can be read and counts; the others are counted."""
        chain = Chain() if topic.is_chained else None
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
                        record = reader.read(raw)
                    except InvalidMessageError:
                        self.unreadable_count += 1
                        continue
                    if chain is not None and _is_void(chain, record):
                        self.void_count += 1
                    else:
                        yield record

    async def times(self, topic: Topic, spans: Mapping[int, Span]) -> tuple[int, int]:
        """The broker's times of the spans' first and last records; zeros where none is readable."""
        found: list[int] = []
        for span in spans.values():
            for start in (span.start, span.end - 1):
                part = msgspec.structs.replace(span, start=start)
                async with aclosing(self.records(topic, part)) as records:
                    async for record in records:
                        found.append(record.timestamp_ms)
                        break
        return min(found, default=0), max(found, default=0)

    async def newest(self, topic: Topic) -> dict[str, Any]:
        """The newest value of each key, as of now."""
        values: dict[str, Any] = {}
        for span in (await self.spans(topic, Window())).values():
            async for record in self.records(topic, span):
                if record.value is None:
                    values.pop(record.key, None)
                else:
                    values[record.key] = record.value
        return values

    async def merged(self, sources: Sequence[tuple[Topic, Span]]) -> AsyncIterator[Record[Any]]:
        """The records of several spans by the broker's time; equal times in the sources' order."""
        heads: list[tuple[int, int, Record[Any]]] = []
        streams = [self.records(topic, span) for topic, span in sources]

        async def push(index: int) -> None:
            head = await anext(streams[index], None)
            if head is not None:
                heappush(heads, (head.timestamp_ms, index, head))

        try:
            for index in range(len(streams)):
                await push(index)
            while heads:
                _, index, record = heappop(heads)
                yield record
                await push(index)
        finally:
            for stream in streams:
                await stream.aclose()


def _is_void(chain: Chain, record: Record[LicenseDecision]) -> bool:
    return chain.follow(record.value, record.partition, record.offset) is Standing.VOID
