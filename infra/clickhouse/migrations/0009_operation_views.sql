-- What operators and auditors ask.

CREATE OR REPLACE VIEW ${database}.dead_letters ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'topic that the record stood in; source: dead letter',
    source_partition UInt16 COMMENT 'partition that it stood in; source: dead letter',
    source_offset UInt64 COMMENT 'offset that it had; source: dead letter',
    source_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the record, UTC; source: dead letter',
    agent LowCardinality(String) COMMENT 'agent that could not read or handle it; source: dead letter',
    attempt UInt16 COMMENT 'how often it was driven back before, plus one; source: dead letter',
    reason LowCardinality(String) COMMENT 'why, as a stable word; source: dead letter',
    detail String COMMENT 'why, for people; source: dead letter',
    failed_at DateTime64(3, 'UTC') COMMENT 'clock of the agent, UTC; source: dead letter',
    key String COMMENT '[personal] key of the record; source: dead letter',
    payload String COMMENT '[personal] the record, what is no UTF-8 in it replaced, at most 64 KiB; source: dead letter',
    payload_bytes UInt32 COMMENT 'size of the record, bytes; source: dead letter'
)
AS
SELECT * EXCEPT (kafka_topic, kafka_partition, kafka_offset, kafka_time)
FROM ${database}.dead_letters_raw FINAL
COMMENT 'Records that no agent could read or handle, and why';

CREATE OR REPLACE VIEW ${database}.conflicts ${on_cluster}
(
    session_id String COMMENT '[personal] session of the event; source: event',
    source String COMMENT 'source of the event; source: event',
    sequence UInt64 COMMENT 'number of the event within its source; source: event',
    received_at DateTime64(3, 'UTC') COMMENT 'clock of the gateway, UTC; source: gateway',
    payload String COMMENT '[personal] the event that does not count, JSON; source: event',
    topic LowCardinality(String) COMMENT 'topic of the record; source: Kafka',
    kafka_partition UInt16 COMMENT 'partition of the record; source: Kafka',
    kafka_offset UInt64 COMMENT 'offset of the record; source: Kafka',
    kafka_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the record, UTC; source: Kafka'
)
AS
SELECT session_id, source, sequence, received_at, payload, topic, kafka_partition, kafka_offset, kafka_time
FROM ${database}.set_aside_raw FINAL
WHERE kind = 'conflict'
COMMENT 'Events whose identity came before with another payload: the first one counts and stands in events';

CREATE OR REPLACE VIEW ${database}.ledger ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'topic',
    minute DateTime('UTC') COMMENT 'minute of the gateway''s clock, UTC',
    accepted UInt64 COMMENT 'events answered 2xx, re-sends included; source: gateway.ledger.v1',
    refused UInt64 COMMENT 'events answered 4xx; source: gateway.ledger.v1',
    unavailable UInt64 COMMENT 'events answered 503: not stored, or unknown; source: gateway.ledger.v1',
    shed UInt64 COMMENT 'CMCD lines answered 204 and not stored; source: gateway.ledger.v1',
    stored UInt64 COMMENT 'rows of events; source: ClickHouse',
    duplicates UInt64 COMMENT 're-sends that became no row; source: analytics sink',
    conflicts UInt64 COMMENT 'other payloads under a known identity; source: analytics sink',
    dead_letters UInt64 COMMENT 'records that could not be read, by the broker''s minute; source: dead letters',
    complete_until Nullable(DateTime64(3, 'UTC')) COMMENT 'everything that the broker took before it is stored, UTC; null before the sink ran; source: analytics sink',
    is_complete Bool COMMENT 'the minute lies before complete_until'
)
AS
SELECT
    topic,
    minute,
    sum(accepted) AS accepted,
    sum(refused) AS refused,
    sum(unavailable) AS unavailable,
    sum(shed) AS shed,
    sum(stored) AS stored,
    sum(duplicates) AS duplicates,
    sum(conflicts) AS conflicts,
    sum(dead_letters) AS dead_letters,
    any(progress.complete_until) AS complete_until,
    ifNull(minute + INTERVAL 1 MINUTE <= complete_until, false) AS is_complete
FROM
(
    SELECT
        JSONExtractString(payload, 'topic') AS topic,
        toDateTime(intDiv(JSONExtractUInt(payload, 'minute_ms'), 1000), 'UTC') AS minute,
        JSONExtractUInt(payload, 'accepted') AS accepted,
        JSONExtractUInt(payload, 'refused') AS refused,
        JSONExtractUInt(payload, 'unavailable') AS unavailable,
        JSONExtractUInt(payload, 'shed') AS shed,
        0 AS stored,
        0 AS duplicates,
        0 AS conflicts,
        0 AS dead_letters
    FROM ${database}.decisions_raw FINAL
    WHERE decisions_raw.topic = 'gateway.ledger.v1'
    UNION ALL
    SELECT topic, minute, 0, 0, 0, 0, sum(rows), 0, 0, 0
    FROM ${database}.ingest_ledger
    GROUP BY topic, minute
    UNION ALL
    SELECT topic, toStartOfMinute(toDateTime(received_at, 'UTC')) AS minute, 0, 0, 0, 0, 0, countIf(kind = 'duplicate'), countIf(kind = 'conflict'), 0
    FROM ${database}.set_aside_raw FINAL
    GROUP BY topic, minute
    UNION ALL
    SELECT topic, toStartOfMinute(toDateTime(source_time, 'UTC')) AS minute, 0, 0, 0, 0, 0, 0, 0, count()
    FROM ${database}.dead_letters_raw FINAL
    GROUP BY topic, minute
) AS counts
LEFT JOIN
(
    SELECT topic, toNullable(min(complete_until)) AS complete_until
    FROM ${database}.ingest_progress FINAL
    GROUP BY topic
) AS progress USING (topic)
GROUP BY topic, minute
COMMENT 'Per topic and minute: what the gateway accepted against what is stored, and until when that is complete';

CREATE OR REPLACE VIEW ${database}.qoe_by_minute ${on_cluster}
(
    minute DateTime('UTC') COMMENT 'minute of the client''s clock, UTC; sessions count in the minute they started in',
    cdn LowCardinality(String) COMMENT 'CDN of the event, and last CDN of the session',
    region LowCardinality(String) COMMENT 'ISO 3166 region of the address',
    device_model LowCardinality(String) COMMENT 'model of the device',
    player LowCardinality(String) COMMENT 'player',
    viewers UInt64 COMMENT 'sessions with an event in the minute, estimated (uniqCombined); source: events',
    event_count UInt64 COMMENT 'events; source: events',
    play_count UInt64 COMMENT 'play events; source: events',
    seek_count UInt64 COMMENT 'seek events; source: events',
    error_count UInt64 COMMENT 'fatal errors; source: events',
    request_count UInt64 COMMENT 'fetches whose status is known; source: CMCD, edge logs',
    failed_request_count UInt64 COMMENT 'fetches answered with status 400 and above; source: CMCD, edge logs',
    object_bytes UInt64 COMMENT 'bytes fetched, where they are known; source: edge logs',
    throughput_p05_kbps Nullable(Float64) COMMENT 'measured throughput, 5th percentile (t-digest), kbit/s; source: events',
    throughput_p50_kbps Nullable(Float64) COMMENT 'measured throughput, median (t-digest), kbit/s; source: events',
    latency_p50_ms Nullable(Float64) COMMENT 'time to first byte, median (t-digest), milliseconds; source: events',
    latency_p95_ms Nullable(Float64) COMMENT 'time to first byte, 95th percentile (t-digest), milliseconds; source: events',
    session_count UInt64 COMMENT 'sessions started; source: sessions',
    start_count UInt64 COMMENT 'of them: with a first frame; source: sessions',
    start_failure_count UInt64 COMMENT 'of them: a fatal error before the first frame (CTA-2066); source: sessions',
    exit_before_start_count UInt64 COMMENT 'of them: left before the first frame (CTA-2066); source: sessions',
    failure_count UInt64 COMMENT 'of them: a fatal error, before or after the start (CTA-2066); source: sessions',
    rebuffer_count UInt64 COMMENT 'their stalls (CTA-2066); source: sessions',
    rebuffer_duration_ms UInt64 COMMENT 'their stalled time, milliseconds; source: sessions',
    watched_ms UInt64 COMMENT 'their watched time, milliseconds; rebuffer ratio of a set = sum of rebuffer_duration_ms / sum of watched_ms; source: sessions',
    played_ms UInt64 COMMENT 'their played time, milliseconds; source: sessions',
    time_to_first_frame_p50_ms Nullable(Float64) COMMENT 'median of those with a first frame, milliseconds; source: sessions',
    time_to_first_frame_p95_ms Nullable(Float64) COMMENT '95th percentile, milliseconds; source: sessions'
)
AS
SELECT
    minute,
    cdn,
    region,
    device_model,
    player,
    sum(of.viewers) AS viewers,
    sum(of.event_count) AS event_count,
    sum(of.play_count) AS play_count,
    sum(of.seek_count) AS seek_count,
    sum(of.error_count) AS error_count,
    sum(of.request_count) AS request_count,
    sum(of.failed_request_count) AS failed_request_count,
    sum(of.object_bytes) AS object_bytes,
    ifNotFinite(max(of.throughput[1]), NULL) AS throughput_p05_kbps,
    ifNotFinite(max(of.throughput[2]), NULL) AS throughput_p50_kbps,
    ifNotFinite(max(of.latency[1]), NULL) AS latency_p50_ms,
    ifNotFinite(max(of.latency[2]), NULL) AS latency_p95_ms,
    sum(of.session_count) AS session_count,
    sum(of.start_count) AS start_count,
    sum(of.start_failure_count) AS start_failure_count,
    sum(of.exit_before_start_count) AS exit_before_start_count,
    sum(of.failure_count) AS failure_count,
    sum(of.rebuffer_count) AS rebuffer_count,
    sum(of.rebuffer_duration_ms) AS rebuffer_duration_ms,
    sum(of.watched_ms) AS watched_ms,
    sum(of.played_ms) AS played_ms,
    ifNotFinite(max(of.first_frame[1]), NULL) AS time_to_first_frame_p50_ms,
    ifNotFinite(max(of.first_frame[2]), NULL) AS time_to_first_frame_p95_ms
FROM
(
    SELECT
        minute,
        cdn,
        region,
        device_model,
        player,
        uniqCombinedMerge(12)(sessions) AS viewers,
        sum(rows_in) AS event_count,
        sum(play_count) AS play_count,
        sum(seek_count) AS seek_count,
        sum(error_count) AS error_count,
        sum(request_count) AS request_count,
        sum(failed_request_count) AS failed_request_count,
        sum(object_bytes) AS object_bytes,
        arrayMap(x -> toNullable(toFloat64(x)), quantilesTDigestMerge(0.05, 0.5, 0.95)(throughput)) AS throughput,
        arrayMap(x -> toNullable(toFloat64(x)), quantilesTDigestMerge(0.5, 0.95, 0.99)(latency)) AS latency,
        0 AS session_count,
        0 AS start_count,
        0 AS start_failure_count,
        0 AS exit_before_start_count,
        0 AS failure_count,
        0 AS rebuffer_count,
        0 AS rebuffer_duration_ms,
        0 AS watched_ms,
        0 AS played_ms,
        [CAST(NULL, 'Nullable(Float64)'), CAST(NULL, 'Nullable(Float64)')] AS first_frame
    FROM ${database}.events_by_minute
    GROUP BY minute, cdn, region, device_model, player
    UNION ALL
    SELECT
        toStartOfMinute(toDateTime(started_at, 'UTC')) AS minute,
        cdn,
        region,
        device_model,
        player,
        0, 0, 0, 0, 0, 0, 0, 0,
        [CAST(NULL, 'Nullable(Float64)'), CAST(NULL, 'Nullable(Float64)'), CAST(NULL, 'Nullable(Float64)')],
        [CAST(NULL, 'Nullable(Float64)'), CAST(NULL, 'Nullable(Float64)'), CAST(NULL, 'Nullable(Float64)')],
        count(),
        countIf(played_ms > 0 OR time_to_first_frame_ms IS NOT NULL),
        countIf(playback_failed AND played_ms = 0 AND time_to_first_frame_ms IS NULL),
        countIf(exit_before_video_start),
        countIf(playback_failed),
        sum(rebuffer_count),
        sum(rebuffer_duration_ms),
        sum(watched_ms),
        sum(played_ms),
        arrayMap(x -> toNullable(toFloat64(x)), quantilesTDigestIf(0.5, 0.95)(assumeNotNull(time_to_first_frame_ms), time_to_first_frame_ms IS NOT NULL))
    FROM ${database}.sessions
    WHERE NOT canary
    GROUP BY minute, cdn, region, device_model, player
) AS of
GROUP BY minute, cdn, region, device_model, player
COMMENT 'Playback by minute, probes left out. Over a set: always a ratio of sums; percentiles do not add up, take them from sessions';
