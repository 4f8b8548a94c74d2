"""Settings of topics that a promise hangs on."""

from __future__ import annotations

import pytest

from streams.admin import topic_config
from streams.topic import Topic
from streams.topics import ACCOUNT_KEYS, TOPICS

HOUR_MS = 3_600_000


def test_a_destroyed_key_leaves_the_brokers_files_within_an_hour() -> None:
    config = topic_config(ACCOUNT_KEYS, replication=3)
    assert config["cleanup.policy"] == "compact"
    for name in ("segment.ms", "max.compaction.lag.ms", "delete.retention.ms"):
        assert int(config[name]) <= HOUR_MS
    assert config["min.compaction.lag.ms"] == "0"
    assert ACCOUNT_KEYS.is_authenticated


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_only_what_is_compacted_can_forget(topic: Topic) -> None:
    assert topic.forgets_within_ms is None or topic.is_compacted
