-- Events by minute: few dimensions, sums and states, so that any span is one small query.

CREATE TABLE IF NOT EXISTS ${database}.events_by_minute ${on_cluster}
(
    minute DateTime('UTC') COMMENT 'minute of the client''s clock, UTC',
    cdn LowCardinality(String) COMMENT 'CDN in use, empty where the event names none',
    region LowCardinality(String) COMMENT 'ISO 3166 region of the address',
    device_model LowCardinality(String) COMMENT 'model of the device',
    player LowCardinality(String) COMMENT 'player',
    rows_in SimpleAggregateFunction(sum, UInt64) COMMENT 'events',
    sessions AggregateFunction(uniqCombined(12), UUID) COMMENT 'state: distinct sessions',
    play_count SimpleAggregateFunction(sum, UInt64) COMMENT 'play events',
    playing_count SimpleAggregateFunction(sum, UInt64) COMMENT 'playing events',
    buffering_count SimpleAggregateFunction(sum, UInt64) COMMENT 'buffering events, start-up and seeks included',
    seek_count SimpleAggregateFunction(sum, UInt64) COMMENT 'seek events',
    error_count SimpleAggregateFunction(sum, UInt64) COMMENT 'error events that are fatal',
    request_count SimpleAggregateFunction(sum, UInt64) COMMENT 'fetches whose status is known',
    failed_request_count SimpleAggregateFunction(sum, UInt64) COMMENT 'fetches answered with status 400 and above',
    object_bytes SimpleAggregateFunction(sum, UInt64) COMMENT 'bytes fetched, where they are known',
    throughput AggregateFunction(quantilesTDigest(0.05, 0.5, 0.95), UInt32) COMMENT 'state: measured throughput, kbit/s',
    latency AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), UInt64) COMMENT 'state: time to first byte, milliseconds'
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, cdn, region, device_model, player)
TTL minute + INTERVAL ${raw_days} DAY
SETTINGS ${dedup_window}
COMMENT 'Events by minute, probes left out. Read the view qoe_by_minute instead';

CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.events_by_minute_of_events ${on_cluster}
TO ${database}.events_by_minute
(
    minute DateTime('UTC') COMMENT 'minute of the client''s clock, UTC',
    cdn LowCardinality(String) COMMENT 'CDN in use, empty where the event names none',
    region LowCardinality(String) COMMENT 'ISO 3166 region of the address',
    device_model LowCardinality(String) COMMENT 'model of the device',
    player LowCardinality(String) COMMENT 'player',
    rows_in UInt64 COMMENT 'events',
    sessions AggregateFunction(uniqCombined(12), UUID) COMMENT 'state: distinct sessions',
    play_count UInt64 COMMENT 'play events',
    playing_count UInt64 COMMENT 'playing events',
    buffering_count UInt64 COMMENT 'buffering events, start-up and seeks included',
    seek_count UInt64 COMMENT 'seek events',
    error_count UInt64 COMMENT 'error events that are fatal',
    request_count UInt64 COMMENT 'fetches whose status is known',
    failed_request_count UInt64 COMMENT 'fetches answered with status 400 and above',
    object_bytes UInt64 COMMENT 'bytes fetched, where they are known',
    throughput AggregateFunction(quantilesTDigest(0.05, 0.5, 0.95), UInt32) COMMENT 'state: measured throughput, kbit/s',
    latency AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), UInt64) COMMENT 'state: time to first byte, milliseconds'
)
AS
SELECT
    toStartOfMinute(toDateTime(at, 'UTC')) AS minute,
    cdn,
    region,
    device_model,
    player,
    count() AS rows_in,
    uniqCombinedState(12)(session_id) AS sessions,
    countIf(type = 'play') AS play_count,
    countIf(type = 'playing') AS playing_count,
    countIf(type = 'buffering') AS buffering_count,
    countIf(type = 'seek') AS seek_count,
    countIf(type = 'error' AND ifNull(is_fatal, false)) AS error_count,
    countIf(status > 0) AS request_count,
    countIf(status >= 400) AS failed_request_count,
    sum(ifNull(object_bytes, 0)) AS object_bytes,
    quantilesTDigestStateIf(0.05, 0.5, 0.95)(assumeNotNull(measured_throughput_kbps), measured_throughput_kbps IS NOT NULL) AS throughput,
    quantilesTDigestStateIf(0.5, 0.95, 0.99)(assumeNotNull(latency_ms), latency_ms IS NOT NULL) AS latency
FROM ${database}.events_raw
WHERE NOT canary
GROUP BY minute, cdn, region, device_model, player
COMMENT 'Counts what is inserted into events_raw; not to be read';
