"""Decoding what comes from the log by the registry: key, value, MAC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from streams.authenticity import require_mac
from streams.records import Record
from streams.topic import Topic


class LogRecord(Protocol):
    """What stands in the log; whoever reads a batch of them knows the partition."""

    @property
    def offset(self) -> int: ...  # noqa: D102 - Kafka's own words
    @property
    def timestamp(self) -> int: ...  # noqa: D102 - Unix ms
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]] | None: ...  # noqa: D102


class RawRecord(LogRecord, Protocol):
    """One that knows its partition: what aiokafka and Faust both give."""

    @property
    def partition(self) -> int: ...  # noqa: D102 - Kafka's own word


def is_genuine(state_key: SecretBytes, topic: str, raw: LogRecord) -> bool:
    """Whether a record carries its MAC."""
    try:
        key, headers = (raw.key or b"").decode(), dict(raw.headers or ())
        require_mac(state_key, topic, key, raw.value, headers)
    except (InvalidMessageError, UnicodeDecodeError):
        return False
    return True


class RecordReader:
    """Reads one topic's records; built once per topic."""

    def __init__(self, topic: Topic, *, state_key: SecretBytes | None = None) -> None:
        self._topic = topic
        self._state_key = state_key
        self._decoder: codec.Decoder[Any] | None = (
            None if topic.value is bytes else codec.Decoder(topic.value)
        )

    def read(self, raw: RawRecord) -> Record[Any]:
        """The decoded record; a tombstone's value is None.

        Raises InvalidMessageError (reasons `forged`, `not-json`, `schema`, `unknown-type`, `key`).
        """
        headers = dict(raw.headers or ())
        try:
            key = (raw.key or b"").decode()
        except UnicodeDecodeError as error:
            raise InvalidMessageError("key", "the record's key is not UTF-8") from error
        if self._topic.is_authenticated and self._state_key is not None:
            require_mac(self._state_key, self._topic.name, key, raw.value, headers)
        value: Any = raw.value
        if raw.value is not None and self._decoder is not None:
            value = self._decoder.decode(raw.value)
        elif raw.value is None and not self._topic.is_compacted:
            raise InvalidMessageError("empty", "a record without a value")
        return Record(
            topic=self._topic.name,
            partition=raw.partition,
            offset=raw.offset,
            key=key,
            value=value,
            timestamp_ms=raw.timestamp,
            headers=headers,
        )
