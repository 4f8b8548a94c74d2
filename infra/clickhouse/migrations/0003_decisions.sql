-- What agents decided and owners keep: one table for all of it, so that a new agent's decisions need no migration.

CREATE TABLE IF NOT EXISTS ${database}.decisions_raw ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'topic of the record',
    type LowCardinality(String) COMMENT 'type of the decision; source: record. "removed" where the key was taken out of a compacted topic',
    key String COMMENT '[personal] key of the record: session, account, profile or content',
    identity String COMMENT 'what makes it the same decision when it is published again; source: its schema, else its payload',
    session_id String COMMENT '[personal] session, empty where it has none; source: record',
    account_id String COMMENT '[personal] pseudonym of the account, empty where it has none; source: record',
    profile_id String COMMENT '[personal] profile, empty where it has none; source: record',
    content_id LowCardinality(String) COMMENT 'content, empty where it has none; source: record',
    at DateTime64(3, 'UTC') COMMENT 'when it was decided, clock of the agent, UTC; source: record' CODEC(Delta(8), ZSTD(1)),
    outcome LowCardinality(String) COMMENT 'granted, denied, ..., empty where it has none; source: record',
    reason LowCardinality(String) COMMENT 'why, as a stable word, empty where it has none; source: record',
    canary Bool COMMENT 'a probe of the operator, not a viewer; source: record',
    payload String COMMENT '[personal] the whole record, JSON' CODEC(ZSTD(3)),
    kafka_partition UInt16 COMMENT 'partition of the record',
    kafka_offset UInt64 COMMENT 'offset of the record' CODEC(Delta(8), ZSTD(1)),
    kafka_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the record, UTC' CODEC(Delta(8), ZSTD(1)),
    first_wins UInt64 MATERIALIZED bitNot(kafka_offset) COMMENT 'of equal identities the first in the log is kept' CODEC(Delta(8), ZSTD(1)),
    INDEX by_offset (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1,
    INDEX by_identity identity TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(first_wins)
PARTITION BY toYYYYMM(at)
ORDER BY (topic, toStartOfHour(at), identity)
TTL toDateTime(at) + INTERVAL ${raw_days} DAY DELETE WHERE topic != 'catalog.titles.v1' AND topic != 'account.events.v1'
SETTINGS default_compression_codec = 'ZSTD(1)', ${dedup_window}
COMMENT 'Every record of the topics that the registry marks as recorded, once. Read the views instead';
