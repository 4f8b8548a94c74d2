"""The AsyncAPI 3.0 document of the topics, from the registry and the types alone."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.topic import Topic
from streams.topics import TOPICS

_REFERENCE = "#/components/schemas/{name}"


def asyncapi_document(version: str) -> dict[str, Any]:
    """The document as JSON values; equal registries give equal documents."""
    types = [topic.value for topic in TOPICS if topic.value is not bytes]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Playhead",
            "version": version,
            "description": "Topics of the pipeline. A namespace setting prefixes every address.",
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {
            **{f"{topic.name}.send": _operation(topic, "send", topic.writer) for topic in TOPICS},
            **{
                f"{topic.name}.receive.{reader}": _operation(topic, "receive", reader)
                for topic in TOPICS
                for reader in topic.readers
            },
        },
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    payload: Any = {"type": "string", "format": "binary"}
    if topic.value is not bytes:
        (payload,), _ = msgspec.json.schema_components([topic.value], ref_template=_REFERENCE)
    return {
        "address": topic.name,
        "description": topic.carries,
        "messages": {"value": {"payload": payload, "x-key": topic.key}},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["compact" if topic.is_compacted else "delete"],
                    "retention.ms": -1 if topic.retention_ms is None else topic.retention_ms,
                },
            }
        },
        "x-partition-family": topic.family.value,
        "x-dead-letters": topic.dead_letters.name if topic.has_dead_letters else None,
        "x-authenticated": topic.is_authenticated,
    }


def _operation(topic: Topic, action: str, who: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name.replace('/', '~1')}"},
        "x-component": who,
    }
