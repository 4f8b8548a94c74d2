-- What viewers did and players measured. Why it is cut so: the order key serves questions about one
-- kind of event in a span of time; identity stands last, so that what slipped through twice collapses.

CREATE TABLE IF NOT EXISTS ${database}.events_raw ${on_cluster}
(
    type LowCardinality(String) COMMENT 'kind of event (play, seek, bandwidth, ...); source: event. A kind that this version does not know has its fields in extra',
    session_id UUID COMMENT '[personal] session, UUIDv7; source: session token',
    source String COMMENT 'player instance or client start that numbered the event; source: event',
    sequence UInt64 COMMENT 'number of the event within its source: the order; source: event' CODEC(T64, ZSTD(1)),
    id String COMMENT 'event id (UUIDv7) as the client gave it; empty for CMCD, where it is derived from the identity; source: event',
    at DateTime64(3, 'UTC') COMMENT 'clock of the client, UTC; a clock further than a week from the session is set to the session''s start; source: event' CODEC(Delta(8), ZSTD(1)),
    clock_error_ms Int64 COMMENT 'milliseconds by which the client''s clock was ahead of at; 0 unless it was set right' CODEC(T64, ZSTD(1)),
    received_at DateTime64(3, 'UTC') COMMENT 'clock of the gateway, UTC; source: gateway' CODEC(Delta(8), ZSTD(1)),
    via LowCardinality(String) COMMENT 'way it came: sdk, cmcd, edge, ingest; source: gateway',
    account_id String COMMENT '[personal] pseudonym of the account; source: session token',
    profile_id String COMMENT '[personal] profile that watches; source: session token',
    content_id LowCardinality(String) COMMENT 'content; source: session token',
    plan LowCardinality(String) COMMENT 'subscription plan; source: session token',
    region LowCardinality(String) COMMENT 'ISO 3166 region of the address; source: session token',
    asn UInt32 COMMENT 'autonomous system of the address; source: gateway',
    network String COMMENT '[personal] address cut to /24 or /48; source: gateway',
    device_model LowCardinality(String) COMMENT 'model of the device; source: client, at the session''s opening',
    os LowCardinality(String) COMMENT 'operating system; source: client, at the session''s opening',
    player LowCardinality(String) COMMENT 'player; source: client, at the session''s opening',
    canary Bool COMMENT 'a probe of the operator, not a viewer; source: gateway',
    cdn LowCardinality(String) COMMENT 'CDN in use; source: event',
    playhead_ms Nullable(UInt64) COMMENT 'position in the content, milliseconds; source: event' CODEC(T64, ZSTD(1)),
    from_ms Nullable(UInt64) COMMENT 'seek: from where, milliseconds; source: event' CODEC(T64, ZSTD(1)),
    to_ms Nullable(UInt64) COMMENT 'seek: to where, milliseconds; source: event' CODEC(T64, ZSTD(1)),
    bitrate_kbps Nullable(UInt32) COMMENT 'encoded rate that plays or was fetched, kbit/s; source: event' CODEC(T64, ZSTD(1)),
    from_bitrate_kbps Nullable(UInt32) COMMENT 'bitrate_changed: rate before, kbit/s; source: event' CODEC(T64, ZSTD(1)),
    top_bitrate_kbps Nullable(UInt32) COMMENT 'highest rate of the ladder, kbit/s; source: CMCD tb' CODEC(T64, ZSTD(1)),
    height Nullable(UInt16) COMMENT 'height of the picture, pixels; source: event' CODEC(T64, ZSTD(1)),
    measured_throughput_kbps Nullable(UInt32) COMMENT 'throughput as the player measured it, kbit/s; source: event, CMCD mtp' CODEC(T64, ZSTD(1)),
    latency_ms Nullable(UInt64) COMMENT 'time to first byte, milliseconds; source: event, CMCD ttfb' CODEC(T64, ZSTD(1)),
    transfer_ms Nullable(UInt64) COMMENT 'time to last byte, milliseconds; source: event, CMCD ttlb, edge log' CODEC(T64, ZSTD(1)),
    buffer_length_ms Nullable(UInt64) COMMENT 'media ahead of the playhead, milliseconds; source: event, CMCD bl' CODEC(T64, ZSTD(1)),
    object_type LowCardinality(String) COMMENT 'what was fetched: v, a, av, m, i, c, tt, k, o; source: CMCD ot',
    object_bytes Nullable(UInt64) COMMENT 'size of what was fetched, bytes; source: edge log' CODEC(T64, ZSTD(1)),
    object_duration_ms Nullable(UInt64) COMMENT 'media time of what was fetched, milliseconds; source: CMCD d' CODEC(T64, ZSTD(1)),
    status Nullable(UInt16) COMMENT 'HTTP status of the fetch; source: CMCD rc, edge log' CODEC(T64, ZSTD(1)),
    is_starved Bool COMMENT 'the buffer ran empty before the fetch; source: CMCD bs',
    playback_rate Nullable(Float32) COMMENT 'speed, 1 is normal; source: CMCD pr',
    url String COMMENT 'what was fetched, tokens replaced; source: CMCD url, edge log' CODEC(ZSTD(3)),
    reason LowCardinality(String) COMMENT 'stopped: ended or aborted; source: event',
    code String COMMENT 'error, warning: the player''s code; source: event',
    message String COMMENT 'error, warning: text for people; source: event' CODEC(ZSTD(3)),
    is_fatal Nullable(Bool) COMMENT 'error: playback cannot go on; source: event',
    name String COMMENT 'interaction: what the viewer did; source: event',
    value String COMMENT 'interaction: with what; source: event',
    extra String COMMENT 'fields that this version does not know, JSON; source: event' CODEC(ZSTD(3)),
    payload_hash UInt64 COMMENT 'BLAKE2b of the event as the client sent it, without its id: tells a re-send from a conflict',
    topic LowCardinality(String) COMMENT 'topic of the record',
    kafka_partition UInt16 COMMENT 'partition of the record',
    kafka_offset UInt64 COMMENT 'offset of the record' CODEC(Delta(8), ZSTD(1)),
    kafka_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the record, UTC' CODEC(Delta(8), ZSTD(1)),
    first_wins UInt64 MATERIALIZED bitNot(kafka_offset) COMMENT 'of equal identities the first in the log is kept' CODEC(Delta(8), ZSTD(1)),
    INDEX by_offset (kafka_partition, kafka_offset) TYPE minmax GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(first_wins)
PARTITION BY toDate(at)
ORDER BY (type, toStartOfHour(at), session_id, source, sequence)
TTL toDateTime(at) + INTERVAL ${raw_days} DAY
SETTINGS ttl_only_drop_parts = 1, default_compression_codec = 'ZSTD(1)', ${dedup_window}
COMMENT 'Every accepted event, once. Read the view events instead';

CREATE TABLE IF NOT EXISTS ${database}.set_aside_raw ${on_cluster}
(
    kind LowCardinality(String) COMMENT 'duplicate: the same event again; conflict: the same identity with another payload',
    topic LowCardinality(String) COMMENT 'topic of the record',
    kafka_partition UInt16 COMMENT 'partition of the record',
    kafka_offset UInt64 COMMENT 'offset of the record' CODEC(Delta(8), ZSTD(1)),
    kafka_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the record, UTC',
    received_at DateTime64(3, 'UTC') COMMENT 'clock of the gateway, UTC; source: gateway',
    session_id String COMMENT '[personal] session of the event',
    source String COMMENT 'source of the event',
    sequence UInt64 COMMENT 'number of the event within its source',
    payload String COMMENT '[personal] conflict: the event that does not count, JSON' CODEC(ZSTD(3))
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(kafka_time)
ORDER BY (topic, kafka_partition, kafka_offset)
TTL toDateTime(kafka_time) + INTERVAL ${raw_days} DAY
SETTINGS ${dedup_window}
COMMENT 'Records that became no row because their identity was stored already';
