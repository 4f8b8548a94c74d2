"""Installs the consumer in a Faust app."""

from __future__ import annotations

from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

from streams.consumer.consumer import ChunkConsumer
from streams.consumer.settings import FetchSettings


class ChunkTransport(driver.Transport):
    """Faust's Kafka transport with our consumer."""

    Consumer = ChunkConsumer

    def __init__(self, *args: Any, settings: FetchSettings, **kwargs: Any) -> None:
        self.settings = settings
        self.chunked_topics: set[str] = set()
        """Physical names: their agents get one event per chunk, all others one per record."""
        super().__init__(*args, **kwargs)


def install_transport(app: faust.App, settings: FetchSettings | None = None) -> ChunkTransport:
    """Let the app read through ChunkConsumer; before anything of it is used.

    Groups begin at the log's beginning, and processing is at least once: raises ValueError where
    the app says otherwise.
    """
    if app.conf.consumer_auto_offset_reset != "earliest" or app.in_transaction:
        raise ValueError("the chunk consumer reads from the beginning, at least once")
    transport = ChunkTransport(app.conf.broker_consumer, app, settings=settings or FetchSettings())
    app.transport = transport
    return transport


def hand_out_in_chunks(app: faust.App, physical_topic: str) -> None:
    """Let the agents of the topic get chunks. Raises TypeError without `install_transport`."""
    if not isinstance(app.transport, ChunkTransport):
        raise TypeError("install_transport comes first")
    app.transport.chunked_topics.add(physical_topic)
