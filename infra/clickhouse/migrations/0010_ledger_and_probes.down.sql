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

CREATE OR REPLACE VIEW ${database}.license_decisions ${on_cluster}
(
    decided_at DateTime64(3, 'UTC') COMMENT 'clock of the license agent, UTC; source: license.decisions.v1',
    decision_id String COMMENT 'id of the decision; source: license.decisions.v1',
    request_id String COMMENT 'request that was decided; source: license.decisions.v1',
    action LowCardinality(String) COMMENT 'open, extend, end, license, remove_device, lapse; source: license.decisions.v1',
    outcome LowCardinality(String) COMMENT 'granted or denied; source: license.decisions.v1',
    reason LowCardinality(String) COMMENT 'ok, or why it was denied; source: license.decisions.v1',
    session_id String COMMENT '[personal] session; source: license.decisions.v1',
    account_id String COMMENT '[personal] pseudonym of the account; source: license.decisions.v1',
    profile_id String COMMENT '[personal] profile; source: license.decisions.v1',
    content_id LowCardinality(String) COMMENT 'content; source: license.decisions.v1',
    system LowCardinality(String) COMMENT 'clearkey, identity, ...; source: license.decisions.v1',
    tiers Array(String) COMMENT 'tiers granted; source: license.decisions.v1',
    key_ids_asked Array(String) COMMENT 'key ids asked for, hexadecimal; never a key; source: license.decisions.v1',
    key_ids_granted Array(String) COMMENT 'key ids granted, hexadecimal; never a key; source: license.decisions.v1',
    plan LowCardinality(String) COMMENT 'plan used; source: license.decisions.v1, facts',
    subscription_state LowCardinality(String) COMMENT 'state used; source: license.decisions.v1, facts',
    region LowCardinality(String) COMMENT 'region used, ISO 3166; source: license.decisions.v1, facts',
    device_model LowCardinality(String) COMMENT 'device used; source: license.decisions.v1, facts',
    device_count UInt32 COMMENT 'devices of the account; source: license.decisions.v1, facts',
    device_limit UInt32 COMMENT 'devices of the plan; source: license.decisions.v1, facts',
    stream_count UInt32 COMMENT 'streams of the account; source: license.decisions.v1, facts',
    stream_limit UInt32 COMMENT 'streams of the plan; source: license.decisions.v1, facts',
    facts String COMMENT '[personal] every fact used, JSON; source: license.decisions.v1',
    policy_version LowCardinality(String) COMMENT 'version of the rules; source: license.decisions.v1',
    canary Bool COMMENT 'a probe of the operator, not a viewer; source: license.decisions.v1'
)
AS
SELECT
    at AS decided_at,
    JSONExtractString(payload, 'decision_id') AS decision_id,
    JSONExtractString(payload, 'request_id') AS request_id,
    JSONExtractString(payload, 'action') AS action,
    outcome,
    reason,
    session_id,
    account_id,
    profile_id,
    content_id,
    JSONExtractString(payload, 'system') AS system,
    JSONExtract(payload, 'tiers', 'Array(String)') AS tiers,
    JSONExtract(payload, 'key_ids_asked', 'Array(String)') AS key_ids_asked,
    JSONExtract(payload, 'key_ids_granted', 'Array(String)') AS key_ids_granted,
    JSONExtractString(payload, 'facts', 'plan') AS plan,
    JSONExtractString(payload, 'facts', 'subscription_state') AS subscription_state,
    JSONExtractString(payload, 'facts', 'region') AS region,
    JSONExtractString(payload, 'facts', 'device_model') AS device_model,
    JSONExtractUInt(payload, 'facts', 'device_count') AS device_count,
    JSONExtractUInt(payload, 'facts', 'device_limit') AS device_limit,
    JSONExtractUInt(payload, 'facts', 'stream_count') AS stream_count,
    JSONExtractUInt(payload, 'facts', 'stream_limit') AS stream_limit,
    JSONExtractRaw(payload, 'facts') AS facts,
    JSONExtractString(payload, 'policy_version') AS policy_version,
    canary
FROM ${database}.decisions_raw FINAL
WHERE topic = 'license.decisions.v1'
COMMENT 'Every decision of the license agent, granted or denied, with the facts it used';

CREATE OR REPLACE VIEW ${database}.sessions ${on_cluster}
(
    session_id UUID COMMENT '[personal] session, UUIDv7',
    version UInt64 COMMENT 'number of events that the summary knows: the highest counts; source: session fold',
    account_id String COMMENT '[personal] pseudonym of the account; source: session token',
    profile_id String COMMENT '[personal] profile that watches; source: session token',
    content_id LowCardinality(String) COMMENT 'content; source: session token',
    plan LowCardinality(String) COMMENT 'subscription plan; source: session token',
    region LowCardinality(String) COMMENT 'ISO 3166 region of the address; source: session token',
    asn UInt32 COMMENT 'autonomous system of the address; source: gateway',
    device_model LowCardinality(String) COMMENT 'model of the device; source: client, at the session''s opening',
    os LowCardinality(String) COMMENT 'operating system; source: client, at the session''s opening',
    player LowCardinality(String) COMMENT 'player; source: client, at the session''s opening',
    canary Bool COMMENT 'a probe of the operator, not a viewer; source: gateway',
    cdn LowCardinality(String) COMMENT 'CDN last in use; source: session fold',
    source String COMMENT 'authoritative source of the last event; source: session fold',
    started_at DateTime64(3, 'UTC') COMMENT 'first event, clock of the client, UTC; source: session fold',
    last_event_at DateTime64(3, 'UTC') COMMENT 'last event, clock of the client, UTC; source: session fold',
    last_received_at DateTime64(3, 'UTC') COMMENT 'last event, clock of the gateway, UTC; source: session fold',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'end, fatal error, or last event where it timed out, clock of the client, UTC; null while it goes on; source: session fold',
    is_timed_out Bool COMMENT 'no event for 3 heartbeats (30 s) and no end: computed when asked',
    end_reason LowCardinality(String) COMMENT 'ended, aborted, error, timeout; empty while it goes on; source: session fold',
    time_to_first_frame_ms Nullable(UInt64) COMMENT 'CTA-2066 initial start-up time: from play to playing, milliseconds; source: session fold',
    playback_failed Bool COMMENT 'CTA-2066: a fatal error ended it; source: session fold',
    exit_before_video_start Bool COMMENT 'CTA-2066: left before the first frame, without a fatal error; source: session fold',
    rebuffer_count UInt32 COMMENT 'CTA-2066 stalls: neither start-up nor after a seek; source: session fold',
    rebuffer_duration_ms UInt64 COMMENT 'CTA-2066 stalled time, milliseconds; source: session fold',
    watched_ms UInt64 COMMENT 'CTA-2066: from play to pause, end or failure, stalls included, milliseconds; source: session fold',
    played_ms UInt64 COMMENT 'media shown, milliseconds; source: session fold',
    rebuffer_ratio Float64 COMMENT 'rebuffer_duration_ms / watched_ms, 0 to 1; source: session fold',
    average_bitrate_kbps Nullable(UInt32) COMMENT 'CTA-2066: weighed by media time, kbit/s; source: session fold',
    bitrate_kbps Nullable(UInt32) COMMENT 'last known, kbit/s; source: session fold',
    bitrate_up_count UInt32 COMMENT 'switches to a higher rendition; source: session fold',
    bitrate_down_count UInt32 COMMENT 'switches to a lower rendition; source: session fold',
    seek_count UInt32 COMMENT 'seeks; source: session fold',
    pause_count UInt32 COMMENT 'pauses; source: session fold',
    error_code String COMMENT 'code of the error that ended it; source: session fold',
    exit_playhead_ms Nullable(UInt64) COMMENT 'where it is or ended, milliseconds of content; estimated where the player tells no position; source: session fold',
    max_playhead_ms Nullable(UInt64) COMMENT 'furthest position that was shown, milliseconds of content; source: session fold',
    completion_ratio Nullable(Float64) COMMENT 'max_playhead_ms / duration of the content, 0 to 1; source: session fold',
    event_count UInt32 COMMENT 'events of the authoritative way; source: session fold'
)
AS
SELECT
    session_id,
    version,
    account_id,
    profile_id,
    content_id,
    plan,
    region,
    asn,
    device_model,
    os,
    player,
    canary,
    cdn,
    source,
    started_at,
    last_event_at,
    last_received_at,
    if(is_timed_out, last_event_at, s.ended_at) AS ended_at,
    s.ended_at IS NULL AND s.last_received_at < now64(3, 'UTC') - INTERVAL 30 SECOND AS is_timed_out,
    if(is_timed_out, 'timeout', s.end_reason) AS end_reason,
    time_to_first_frame_ms,
    playback_failed,
    s.exit_before_video_start OR (is_timed_out AND NOT s.playback_failed AND s.played_ms = 0 AND s.time_to_first_frame_ms IS NULL) AS exit_before_video_start,
    rebuffer_count,
    rebuffer_duration_ms,
    watched_ms,
    played_ms,
    rebuffer_ratio,
    average_bitrate_kbps,
    bitrate_kbps,
    bitrate_up_count,
    bitrate_down_count,
    seek_count,
    pause_count,
    error_code,
    exit_playhead_ms,
    max_playhead_ms,
    completion_ratio,
    event_count
FROM ${database}.sessions_raw AS s FINAL
COMMENT 'One row per session: QoE by CTA-2066, as the session fold has it so far';

CREATE OR REPLACE VIEW ${database}.events ${on_cluster}
(
    type LowCardinality(String) COMMENT 'play, playing, pause, seek, seeked, buffering, buffered, bandwidth, bitrate_changed, heartbeat, stopped, error, warning, interaction; source: event',
    session_id UUID COMMENT '[personal] session, UUIDv7; source: session token',
    source String COMMENT 'player instance or client start that numbered the event; source: event',
    sequence UInt64 COMMENT 'number of the event within its source: the order; source: event',
    id String COMMENT 'event id (UUIDv7) as the client gave it; empty for CMCD; source: event',
    at DateTime64(3, 'UTC') COMMENT 'clock of the client, UTC; a clock further than a week from the session is set to the session''s start; source: event',
    clock_error_ms Int64 COMMENT 'milliseconds by which the client''s clock was ahead of at; 0 unless it was set right; source: analytics sink',
    received_at DateTime64(3, 'UTC') COMMENT 'clock of the gateway, UTC; source: gateway',
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
    playhead_ms Nullable(UInt64) COMMENT 'position in the content, milliseconds; source: event',
    from_ms Nullable(UInt64) COMMENT 'seek: from where, milliseconds; source: event',
    to_ms Nullable(UInt64) COMMENT 'seek: to where, milliseconds; source: event',
    bitrate_kbps Nullable(UInt32) COMMENT 'encoded rate that plays or was fetched, kbit/s; source: event, CMCD br',
    from_bitrate_kbps Nullable(UInt32) COMMENT 'bitrate_changed: rate before, kbit/s; source: event',
    top_bitrate_kbps Nullable(UInt32) COMMENT 'highest rate of the ladder, kbit/s; source: CMCD tb',
    height Nullable(UInt16) COMMENT 'height of the picture, pixels; source: event',
    measured_throughput_kbps Nullable(UInt32) COMMENT 'throughput as the player measured it, kbit/s; source: event, CMCD mtp',
    latency_ms Nullable(UInt64) COMMENT 'time to first byte, milliseconds; source: event, CMCD ttfb',
    transfer_ms Nullable(UInt64) COMMENT 'time to last byte, milliseconds; source: event, CMCD ttlb, edge log',
    buffer_length_ms Nullable(UInt64) COMMENT 'media ahead of the playhead, milliseconds; source: event, CMCD bl',
    object_type LowCardinality(String) COMMENT 'what was fetched: v, a, av, m, i, c, tt, k, o; source: CMCD ot',
    object_bytes Nullable(UInt64) COMMENT 'size of what was fetched, bytes; source: edge log',
    object_duration_ms Nullable(UInt64) COMMENT 'media time of what was fetched, milliseconds; source: CMCD d',
    status Nullable(UInt16) COMMENT 'HTTP status of the fetch; source: CMCD rc, edge log',
    is_starved Bool COMMENT 'the buffer ran empty before the fetch; source: CMCD bs',
    playback_rate Nullable(Float32) COMMENT 'speed, 1 is normal; source: CMCD pr',
    url String COMMENT 'what was fetched, tokens replaced; source: CMCD url, edge log',
    reason LowCardinality(String) COMMENT 'stopped: ended or aborted; source: event',
    code String COMMENT 'error, warning: the player''s code; source: event',
    message String COMMENT 'error, warning: text for people; source: event',
    is_fatal Nullable(Bool) COMMENT 'error: playback cannot go on; source: event',
    name String COMMENT 'interaction: what the viewer did; source: event',
    value String COMMENT 'interaction: with what; source: event',
    extra String COMMENT 'fields that this version does not know, JSON; source: event',
    topic LowCardinality(String) COMMENT 'topic of the record; source: Kafka',
    kafka_partition UInt16 COMMENT 'partition of the record; source: Kafka',
    kafka_offset UInt64 COMMENT 'offset of the record; source: Kafka',
    kafka_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the record, UTC; source: Kafka'
)
AS
SELECT * EXCEPT (payload_hash)
FROM ${database}.events_raw FINAL
COMMENT 'Every accepted event, exactly once; identity is (session_id, source, sequence). Give questions about one session the bounds of at that sessions tells';
