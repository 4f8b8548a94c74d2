-- The session fold's summaries: stalls and start-up need pairs of events, which no materialized view sees.

CREATE TABLE IF NOT EXISTS ${database}.sessions_raw ${on_cluster}
(
    session_id UUID COMMENT '[personal] session, UUIDv7',
    version UInt64 COMMENT 'number of events that the summary knows: the highest counts; source: session fold' CODEC(T64, ZSTD(1)),
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
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'end or fatal error, clock of the client, UTC; source: session fold',
    end_reason LowCardinality(String) COMMENT 'ended, aborted, error; empty while it goes on; source: session fold',
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
    event_count UInt32 COMMENT 'events of the authoritative way; source: session fold',
    topic LowCardinality(String) COMMENT 'topic of the record',
    kafka_partition UInt16 COMMENT 'partition of the record',
    kafka_offset UInt64 COMMENT 'offset of the record',
    kafka_time DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took the record, UTC'
)
ENGINE = ${replicated}ReplacingMergeTree(version)
PARTITION BY toYYYYMM(UUIDv7ToDateTime(session_id))
ORDER BY session_id
TTL toDateTime(started_at) + INTERVAL ${raw_days} DAY
SETTINGS default_compression_codec = 'ZSTD(1)', ${dedup_window}
COMMENT 'Summaries of sessions, the highest version of each counts. Read the view sessions instead';
