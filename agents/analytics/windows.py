"""Which part of a topic is meant: by the broker's time or by offset, resolved once."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.administering import administering, committed_offsets
from streams.broker import Broker

LOOK_S: Final = 0.25
SINK_LOOKS_MAX: Final = 60
"""15 s: longer than the sink lets records gather."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a topic: by the broker's time, or by offset of every partition.

    [from, to); what is None is the log's own beginning or its end when it is resolved.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    from_offset: int | None = None
    to_offset: int | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets [start, end) of one partition; never empty."""

    partition: int
    start: int
    end: int


async def find_spans(
    consumer: AIOKafkaConsumer, physical: str, partitions: int, window: Window
) -> tuple[Span, ...]:
    """Each partition's part of the window as the log is now; empty ones are left out."""
    places = [TopicPartition(physical, number) for number in range(partitions)]
    consumer.assign(places)
    beginnings = await consumer.beginning_offsets(places)
    ends = await consumer.end_offsets(places)
    starts_at = await _offsets_at(consumer, places, window.from_ms)
    stops_at = await _offsets_at(consumer, places, window.to_ms)
    spans = []
    for place in places:
        start, end = beginnings[place], ends[place]
        if window.from_ms is not None:  # None: nothing is so young
            start = end if (found := starts_at[place]) is None else max(start, found)
        if window.to_ms is not None and (found := stops_at[place]) is not None:
            end = min(end, found)
        start = max(start, window.from_offset or 0)
        if window.to_offset is not None:
            end = min(end, window.to_offset)
        if start < end:
            spans.append(Span(partition=place.partition, start=start, end=end))
    return tuple(spans)


async def left_to_sink(
    broker: Broker, physical: str, group: str, spans: tuple[Span, ...]
) -> tuple[Span, ...]:
    """The spans without what the sink's group is about to store itself.

    Both would insert a row that neither finds stored, under different tokens. So the sink may
    first come up to the spans' ends; what it has not reached by then is not replayed. Where it has
    committed nothing, it has begun nothing.
    """
    cut = spans
    async with administering(broker) as admin:
        for _ in range(SINK_LOOKS_MAX):
            committed = await committed_offsets(admin, broker, group)
            ends = [committed.get(TopicPartition(physical, s.partition), s.end) for s in spans]
            cut = tuple(
                msgspec.structs.replace(span, end=min(span.end, end))
                for span, end in zip(spans, ends, strict=True)
            )
            if cut == spans:
                break
            await asyncio.sleep(LOOK_S)
    return tuple(span for span in cut if span.start < span.end)


async def _offsets_at(
    consumer: AIOKafkaConsumer, places: list[TopicPartition], at_ms: int | None
) -> dict[TopicPartition, int | None]:
    if at_ms is None:
        return {}
    found = await consumer.offsets_for_times(dict.fromkeys(places, at_ms))
    return {place: None if at is None else at.offset for place, at in found.items()}
