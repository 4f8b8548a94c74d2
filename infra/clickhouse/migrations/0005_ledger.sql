-- What came of every record: dead letters, how far the sink is, and how many rows each minute gave.

CREATE TABLE IF NOT EXISTS ${database}.dead_letters_raw ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'topic that the record stood in; source: header',
    source_partition UInt16 COMMENT 'partition that it stood in; source: header',
    source_offset UInt64 COMMENT 'offset that it had; source: header',
    source_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the record, UTC; source: header',
    agent LowCardinality(String) COMMENT 'agent that could not read or handle it; source: header',
    attempt UInt16 COMMENT 'how often it was driven back before, plus one; source: header',
    reason LowCardinality(String) COMMENT 'why, as a stable word; source: header',
    detail String COMMENT 'why, for people; source: header',
    failed_at DateTime64(3, 'UTC') COMMENT 'clock of the agent, UTC; source: header',
    key String COMMENT '[personal] key of the record',
    payload String COMMENT '[personal] the record, what is no UTF-8 in it replaced' CODEC(ZSTD(3)),
    payload_bytes UInt32 COMMENT 'size of the record, bytes',
    kafka_topic LowCardinality(String) COMMENT 'dead-letter topic',
    kafka_partition UInt16 COMMENT 'partition of the dead letter',
    kafka_offset UInt64 COMMENT 'offset of the dead letter',
    kafka_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the dead letter, UTC'
)
ENGINE = ${replicated}ReplacingMergeTree(kafka_time)
PARTITION BY toYYYYMM(source_time)
ORDER BY (topic, source_partition, source_offset, agent, attempt)
TTL toDateTime(source_time) + INTERVAL ${raw_days} DAY
SETTINGS ${dedup_window}
COMMENT 'Records that no agent could read or handle. Read the view dead_letters instead';

CREATE TABLE IF NOT EXISTS ${database}.ingest_progress ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'topic; source: analytics sink',
    kafka_partition UInt16 COMMENT 'partition; source: analytics sink',
    stored_offset UInt64 COMMENT 'everything below it is stored; source: analytics sink',
    end_offset UInt64 COMMENT 'end of the partition as last seen; source: analytics sink',
    complete_until DateTime64(3, 'UTC') COMMENT 'everything that the broker took before it is stored, UTC; source: analytics sink',
    updated_at DateTime64(3, 'UTC') COMMENT 'clock of the sink, UTC'
)
ENGINE = ${replicated}ReplacingMergeTree(updated_at)
ORDER BY (topic, kafka_partition)
COMMENT 'How far the sink has stored each partition';

CREATE TABLE IF NOT EXISTS ${database}.ingest_ledger ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'topic',
    minute DateTime('UTC') COMMENT 'minute of the gateway''s clock, UTC',
    kafka_partition UInt16 COMMENT 'partition',
    rows SimpleAggregateFunction(sum, UInt64) COMMENT 'rows stored',
    first_offset SimpleAggregateFunction(min, UInt64) COMMENT 'least offset of them',
    last_offset SimpleAggregateFunction(max, UInt64) COMMENT 'greatest offset of them'
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (topic, minute, kafka_partition)
TTL minute + INTERVAL ${raw_days} DAY
SETTINGS ${dedup_window}
COMMENT 'Events stored per topic, minute and partition: progress, gaps and doubles by one small query';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.ingest_ledger_of_events ${on_cluster}
TO ${database}.ingest_ledger
(
    topic LowCardinality(String) COMMENT 'topic',
    minute DateTime('UTC') COMMENT 'minute of the gateway''s clock, UTC',
    kafka_partition UInt16 COMMENT 'partition',
    rows UInt64 COMMENT 'rows of one insert',
    first_offset UInt64 COMMENT 'least offset of them',
    last_offset UInt64 COMMENT 'greatest offset of them'
)
AS
SELECT
    topic,
    toStartOfMinute(toDateTime(received_at, 'UTC')) AS minute,
    kafka_partition,
    count() AS rows,
    min(kafka_offset) AS first_offset,
    max(kafka_offset) AS last_offset
FROM ${database}.events_raw
GROUP BY topic, minute, kafka_partition
COMMENT 'Counts what is inserted into events_raw; not to be read';
