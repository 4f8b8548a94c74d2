"""A record of any recorded topic as a row of `decisions_raw`, by its schema.

A new agent's decisions need nothing here: their Struct's fields say session, account, profile and
content, when (`decided_at_ms`, `at_ms` or `as_of_ms`), outcome and reason. What makes a decision
the same when it is published again is its `decision_id`, or the fields that the class attribute
`IDENTITY` names, or else the whole payload.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import msgspec

from agents.analytics.moments import seconds
from schemas import codec
from schemas.errors import UnknownTypeError
from schemas.secrets import SecretBytes
from streams.reader import RawRecord, RecordReader
from streams.topic import Topic

_TEXTS: Final = ("session_id", "account_id", "profile_id", "content_id", "outcome", "reason")
_TIMES: Final = ("decided_at_ms", "at_ms", "as_of_ms")


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row, and what tells it from others."""

    identity: str
    offset: int
    columns: dict[str, Any]
    value: Any
    """The decoded record."""


class DecisionReader:
    """Reads one recorded topic."""

    def __init__(self, topic: Topic, *, state_key: SecretBytes | None) -> None:
        self._topic = topic
        self._reader = RecordReader(topic, state_key=state_key)
        self._unknown: codec.Decoder[dict[str, Any]] = codec.Decoder(dict[str, Any])

    def read(self, raw: RawRecord) -> DecisionRow:
        """The record's row. Raises InvalidMessageError where it can be none."""
        try:
            value = self._reader.read(raw).value
        except UnknownTypeError:  # of a newer writer: stored as it is
            value = self._unknown.decode(raw.value or b"{}")
        key = (raw.key or b"").decode()
        facts = _facts(value)
        payload = (raw.value or b"").decode()
        at_ms = next((facts[n] for n in _TIMES if isinstance(facts.get(n), int)), raw.timestamp)
        columns: dict[str, Any] = {n: str(facts.get(n) or "") for n in _TEXTS}
        columns |= {
            "topic": self._topic.name,
            "type": _type(value),
            "key": key,
            "identity": _identity(key, value, payload, raw),
            "at": seconds(at_ms),
            "canary": bool(facts.get("canary")),
            "payload": payload,
            "kafka_partition": raw.partition,
            "kafka_offset": raw.offset,
            "kafka_time": seconds(raw.timestamp),
        }
        return DecisionRow(
            identity=columns["identity"], offset=raw.offset, columns=columns, value=value
        )


def _facts(value: Any) -> dict[str, Any]:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    return value if isinstance(value, dict) else {}


def _type(value: Any) -> str:
    if value is None:
        return "removed"
    if isinstance(value, msgspec.Struct):
        return str(value.__struct_config__.tag or type(value).__name__)
    return str(value.get("type", "")) if isinstance(value, dict) else ""


def _identity(key: str, value: Any, payload: str, raw: RawRecord) -> str:
    names = getattr(type(value), "IDENTITY", ())
    decision_id = getattr(value, "decision_id", "")
    parts: tuple[Any, ...]
    if names:
        parts = (_type(value), *(getattr(value, name) for name in names))
    elif decision_id:
        parts = (_type(value), decision_id)
    elif value is None:  # a key may be removed more than once
        parts = (key, raw.partition, raw.offset)
    else:
        parts = (key, payload)
    text = "\x1f".join(str(part) for part in parts)
    return blake2b(text.encode(), digest_size=16).hexdigest()
