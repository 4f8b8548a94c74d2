"""Which topic goes into which table: read off the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agents.analytics.dead_letter_rows import DeadLetterReader
from agents.analytics.decision_rows import DecisionReader
from agents.analytics.event_intake import EventIntake
from agents.analytics.event_table import EventTableReader
from agents.analytics.identities import SeenIdentities
from agents.analytics.intake import DecisionIntake, Intake, Knowledge, PlainIntake
from agents.analytics.summary_rows import SummaryReader
from schemas.secrets import SecretBytes
from streams.clock import Clock
from streams.topic import Topic
from streams.topics import BY_NAME, PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS, SESSION_SUMMARIES, TOPICS

PLAYBACK = (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH)
_SUFFIX = ".dead-letter"


def stored_topics(topics: Iterable[Topic] = TOPICS) -> dict[str, int]:
    """The topics that go to ClickHouse, with their partitions: recorded, played, dead letters."""
    found: dict[str, int] = {}
    for topic in topics:
        if topic.is_recorded or topic in (*PLAYBACK, SESSION_SUMMARIES):
            found[topic.name] = topic.partitions
        if topic.has_dead_letters:
            found[topic.dead_letters.name] = topic.dead_letters.partitions
    return found


def table_of(topic_name: str) -> str:
    """The table that a stored topic goes to."""
    if topic_name.endswith(_SUFFIX):
        return "dead_letters_raw"
    topic = BY_NAME[topic_name]
    if topic in PLAYBACK:
        return EventIntake.table
    return "sessions_raw" if topic is SESSION_SUMMARIES else DecisionIntake.table


def topic_column_of(topic_name: str) -> str:
    """The column of that table in which the topic stands."""
    return "kafka_topic" if topic_name.endswith(_SUFFIX) else "topic"


class Intakes:
    """Makes the intake of a partition. Playback topics share what was seen of a session."""

    def __init__(
        self, knowledge: Knowledge, *, state_key: SecretBytes | None, clock: Clock | None = None
    ) -> None:
        """`clock`: of the one who stores all there is from now on; None: others store as well."""
        self._knowledge = knowledge
        self._clock = clock
        self._state_key = state_key
        self._events = EventTableReader()
        self._seen: dict[int, SeenIdentities] = {}

    def of(self, topic_name: str, partition: int) -> Intake:
        """The intake of one partition of a stored topic."""
        if topic_name.endswith(_SUFFIX):
            reader = DeadLetterReader(topic_name, topic_name.removesuffix(_SUFFIX))
            column = topic_column_of(topic_name)
            return PlainIntake(table_of(topic_name), reader.read, topic_column=column)
        topic = BY_NAME[topic_name]
        if topic in PLAYBACK:
            seen = self._seen_of(partition)
            return EventIntake(self._events, seen, self._knowledge)
        if topic is SESSION_SUMMARIES:
            return PlainIntake(table_of(topic_name), SummaryReader().read)
        decisions = DecisionReader(topic, state_key=self._state_key)
        return DecisionIntake(decisions, self._knowledge, is_chained=topic.is_chained)

    def forget(self, topic_name: str, partition: int) -> None:
        """The partition went to another worker: what is known of its sessions grows old."""
        if topic_name in {topic.name for topic in PLAYBACK}:
            self._seen.pop(partition, None)

    def _seen_of(self, partition: int) -> Callable[[], SeenIdentities]:
        def seen() -> SeenIdentities:
            known = self._seen.get(partition)
            if known is None:
                since_ms = None if self._clock is None else self._clock()
                known = self._seen[partition] = SeenIdentities(since_ms=since_ms)
            return known

        return seen
