-- The arms of experiments with every event, session and bitrate decision. Raw tables hold them as
-- one word, of which few are distinct; the views tell them as a map.

ALTER TABLE ${database}.events_raw ${on_cluster}
    ADD COLUMN IF NOT EXISTS arms LowCardinality(String) COMMENT 'arm of each experiment that the session is part of, JSON; empty: none; source: gateway' AFTER canary;
ALTER TABLE ${database}.sessions_raw ${on_cluster}
    ADD COLUMN IF NOT EXISTS arms LowCardinality(String) COMMENT 'arm of each experiment that the session is part of, JSON; empty: none; source: gateway' AFTER canary;
-- An experiment is known for as long as its sessions may be asked about.
ALTER TABLE ${database}.decisions_raw ${on_cluster}
    MODIFY TTL toDateTime(at) + INTERVAL ${raw_days} DAY DELETE WHERE topic NOT IN ('catalog.titles.v1', 'account.events.v1', 'experiments.v1')
    SETTINGS materialize_ttl_after_modify = 0;

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
    arms Map(String, String) COMMENT 'arm of each experiment that the session is part of, by its name; source: gateway',
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
SELECT * EXCEPT (payload_hash) REPLACE (JSONExtract(toString(arms), 'Map(String, String)') AS arms)
FROM ${database}.events_raw FINAL
COMMENT 'Every accepted event, exactly once; identity is (session_id, source, sequence). Give questions about one session the bounds of at that sessions tells';

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
    arms Map(String, String) COMMENT 'arm of each experiment that the session is part of, by its name; source: gateway',
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
    qoe Nullable(Float64) COMMENT 'Mbit/s shown less 4.3 for each second waited, start-up included, per second watched: QoE_lin of Mao et al. 2017 without its term for switches; -4.3 where no picture came; null: not known; computed when asked',
    event_count UInt32 COMMENT 'events of the authoritative way; source: session fold'
)
AS
WITH least(1, (s.rebuffer_duration_ms + ifNull(s.time_to_first_frame_ms, 0)) / s.watched_ms) AS waited_share
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
    JSONExtract(toString(s.arms), 'Map(String, String)') AS arms,
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
    multiIf(
        s.played_ms > 0 AND s.watched_ms > 0, s.average_bitrate_kbps / 1000 * (1 - waited_share) - 4.3 * waited_share,
        s.playback_failed OR s.exit_before_video_start OR (is_timed_out AND s.time_to_first_frame_ms IS NULL), -4.3,
        NULL
    ) AS qoe,
    event_count
FROM ${database}.sessions_raw AS s FINAL
COMMENT 'One row per session: QoE by CTA-2066, as the session fold has it so far';

CREATE OR REPLACE VIEW ${database}.bitrate_decisions ${on_cluster}
(
    decided_at DateTime64(3, 'UTC') COMMENT 'clock of the bitrate agent, UTC; source: bitrate.decisions.v1',
    session_id String COMMENT '[personal] session; source: bitrate.decisions.v1',
    content_id LowCardinality(String) COMMENT 'content; source: bitrate.decisions.v1',
    version UInt32 COMMENT 'counts up per session; source: bitrate.decisions.v1',
    ceiling_kbps Nullable(UInt32) COMMENT 'ceiling from then on, video and audio together, kbit/s; null: none; source: bitrate.decisions.v1',
    shadow_ceiling_kbps Nullable(UInt32) COMMENT 'ceiling that was decided and is told to nobody, kbit/s; null: what was decided is applied; source: bitrate.decisions.v1',
    rendition_id Nullable(String) COMMENT 'best rendition below the ceiling; source: bitrate.decisions.v1',
    height Nullable(UInt16) COMMENT 'its height, pixels; source: bitrate.decisions.v1',
    reason LowCardinality(String) COMMENT 'why; source: bitrate.decisions.v1',
    throughput_kbps Nullable(UInt32) COMMENT 'throughput estimate used, kbit/s; source: bitrate.decisions.v1, facts',
    buffer_length_ms Nullable(UInt32) COMMENT 'buffer used, milliseconds; source: bitrate.decisions.v1, facts',
    playing_bitrate_kbps Nullable(UInt32) COMMENT 'rendition that played, kbit/s; source: bitrate.decisions.v1, facts',
    facts String COMMENT 'every fact used, JSON; source: bitrate.decisions.v1',
    policy LowCardinality(String) COMMENT 'stochastic-mpc, robust-rate, player or shadow; source: bitrate.decisions.v1',
    is_applied Bool COMMENT 'players are told; false: in shadow; source: bitrate.decisions.v1',
    policy_version LowCardinality(String) COMMENT 'version of the rules; source: bitrate.decisions.v1',
    arms Map(String, String) COMMENT 'arm of each experiment that the session is part of, by its name; source: bitrate.decisions.v1'
)
AS
SELECT
    at AS decided_at,
    session_id,
    content_id,
    JSONExtractUInt(payload, 'version') AS version,
    JSONExtract(payload, 'ceiling_kbps', 'Nullable(UInt32)') AS ceiling_kbps,
    JSONExtract(payload, 'shadow_ceiling_kbps', 'Nullable(UInt32)') AS shadow_ceiling_kbps,
    JSONExtract(payload, 'rendition_id', 'Nullable(String)') AS rendition_id,
    JSONExtract(payload, 'height', 'Nullable(UInt16)') AS height,
    reason,
    JSONExtract(payload, 'facts', 'throughput_kbps', 'Nullable(UInt32)') AS throughput_kbps,
    JSONExtract(payload, 'facts', 'buffer_length_ms', 'Nullable(UInt32)') AS buffer_length_ms,
    JSONExtract(payload, 'facts', 'playing_bitrate_kbps', 'Nullable(UInt32)') AS playing_bitrate_kbps,
    JSONExtractRaw(payload, 'facts') AS facts,
    if(JSONHas(payload, 'policy'), JSONExtractString(payload, 'policy'), 'stochastic-mpc') AS policy,
    policy != 'shadow' AS is_applied,
    JSONExtractString(payload, 'policy_version') AS policy_version,
    JSONExtract(payload, 'arms', 'Map(String, String)') AS arms
FROM ${database}.decisions_raw FINAL
WHERE topic = 'bitrate.decisions.v1'
COMMENT 'Every change of a session''s bitrate ceiling, with the facts it used';

CREATE OR REPLACE VIEW ${database}.experiment_results ${on_cluster}
(
    experiment LowCardinality(String) COMMENT 'name of the experiment; source: experiments.v1',
    subject LowCardinality(String) COMMENT 'whose policies are compared; source: experiments.v1',
    arm LowCardinality(String) COMMENT 'name of the arm; source: experiments.v1',
    is_control Bool COMMENT 'what the others are compared to; source: experiments.v1',
    policy LowCardinality(String) COMMENT 'what treats its sessions; source: experiments.v1',
    share Float64 COMMENT 'of the sessions, 0 to 1; source: experiments.v1',
    started_at DateTime64(3, 'UTC') COMMENT 'sessions opened from then on take part, UTC; source: experiments.v1',
    stopped_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when the arm, or the whole experiment, was stopped, UTC; null: it runs; source: experiments.v1',
    stopped_reason String COMMENT 'why; source: experiments.v1',
    session_count UInt64 COMMENT 'sessions that ended and whose QoE is known; source: sessions',
    qoe_mean Nullable(Float64) COMMENT 'mean of their qoe; source: sessions',
    qoe_variance Nullable(Float64) COMMENT 'sample variance of their qoe; source: sessions',
    qoe_difference Nullable(Float64) COMMENT 'qoe_mean less that of the control; null: the control itself, or too few sessions; computed when asked',
    qoe_difference_lower Nullable(Float64) COMMENT 'lower bound of the difference, valid however often it is looked at (asymptotic confidence sequence, Waudby-Smith et al. 2021); null: fewer than 100 sessions; computed when asked',
    qoe_difference_upper Nullable(Float64) COMMENT 'upper bound of the difference, as the lower one: below 0 the arm harms; computed when asked',
    alpha Float64 COMMENT 'chance that the true difference is ever outside of the bounds, for this arm; source: experiments.v1, over its arms',
    time_to_first_frame_ms Nullable(Float64) COMMENT 'mean, milliseconds; source: sessions',
    rebuffer_ratio Nullable(Float64) COMMENT 'stalled time / watched time of all, 0 to 1; source: sessions',
    rebuffers_per_hour Nullable(Float64) COMMENT 'stalls per hour watched; source: sessions',
    average_bitrate_kbps Nullable(Float64) COMMENT 'mean of the sessions, kbit/s; source: sessions',
    start_failure_ratio Nullable(Float64) COMMENT 'share of sessions that ended without a picture, 0 to 1; source: sessions'
)
AS
WITH
    known AS
    (
        SELECT
            name,
            argMax(payload, (at, kafka_offset)) AS payload,
            JSONExtract(payload, 'alpha', 'Nullable(Float64)') AS told_alpha,
            JSONExtractArrayRaw(payload, 'arms') AS arms
        FROM (SELECT key AS name, payload, at, kafka_offset FROM ${database}.decisions_raw FINAL WHERE topic = 'experiments.v1' AND type = 'experiment')
        GROUP BY name
    ),
    designed AS
    (
        SELECT
            name AS experiment,
            JSONExtractString(payload, 'subject') AS subject,
            JSONExtractString(told, 'name') AS arm,
            number = 1 AS is_control,
            JSONExtractString(told, 'policy') AS policy,
            JSONExtractFloat(told, 'share') AS share,
            JSONExtractInt(payload, 'started_at_ms') AS started_at_ms,
            ifNull(JSONExtract(told, 'stopped_at_ms', 'Nullable(Int64)'), JSONExtract(payload, 'stopped_at_ms', 'Nullable(Int64)')) AS stopped_at_ms,
            if(JSONHas(told, 'stopped_at_ms'), JSONExtractString(told, 'stopped_reason'), JSONExtractString(payload, 'stopped_reason')) AS stopped_reason,
            ifNull(told_alpha, 0.05) / (length(arms) - 1) AS alpha
        FROM known
        ARRAY JOIN arms AS told, arrayEnumerate(arms) AS number
    ),
    measured AS
    (
        SELECT
            drawn.1 AS experiment,
            drawn.2 AS arm,
            count(qoe) AS measured_count,
            avg(qoe) AS mean,
            varSampStable(qoe) AS variance,
            avg(time_to_first_frame_ms) AS first_frame_ms,
            sum(rebuffer_duration_ms) / sum(watched_ms) AS stalled_ratio,
            sum(rebuffer_count) / (sum(watched_ms) / 3600000) AS stalls_per_hour,
            avg(average_bitrate_kbps) AS bitrate_kbps,
            avg(time_to_first_frame_ms IS NULL AND played_ms = 0) AS no_start_ratio
        FROM ${database}.sessions
        ARRAY JOIN CAST(arms, 'Array(Tuple(String, String))') AS drawn
        WHERE ended_at IS NOT NULL AND NOT canary AND qoe IS NOT NULL
        GROUP BY experiment, arm
    ),
    compared AS
    (
        SELECT
            d.*,
            m.* EXCEPT (experiment, arm),
            first_value(measured_count) OVER to_control AS control_count,
            first_value(mean) OVER to_control AS control_mean,
            first_value(variance) OVER to_control AS control_variance
        FROM designed AS d
        LEFT JOIN measured AS m ON m.experiment = d.experiment AND m.arm = d.arm
        WINDOW to_control AS (PARTITION BY d.experiment ORDER BY is_control DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),
    1000 AS sessions_tightest,
    (-2 * log(alpha) + log(1 - 2 * log(alpha))) / sessions_tightest AS rho_squared,
    measured_count + control_count AS both,
    both * (variance / measured_count + control_variance / control_count) AS both_variance,
    sqrt(2 * both_variance * (both * rho_squared + 1) / (both * both * rho_squared) * log(sqrt(both * rho_squared + 1) / alpha)) AS radius,
    NOT is_control AND measured_count >= 100 AND control_count >= 100 AS is_comparable
SELECT
    experiment,
    subject,
    arm,
    is_control,
    policy,
    share,
    fromUnixTimestamp64Milli(started_at_ms, 'UTC') AS started_at,
    if(stopped_at_ms IS NULL, NULL, fromUnixTimestamp64Milli(assumeNotNull(stopped_at_ms), 'UTC')) AS stopped_at,
    stopped_reason,
    measured_count AS session_count,
    if(measured_count > 0, mean, NULL) AS qoe_mean,
    if(measured_count > 1, variance, NULL) AS qoe_variance,
    if(NOT is_control AND measured_count > 0 AND control_count > 0, mean - control_mean, NULL) AS qoe_difference,
    if(is_comparable, mean - control_mean - radius, NULL) AS qoe_difference_lower,
    if(is_comparable, mean - control_mean + radius, NULL) AS qoe_difference_upper,
    alpha,
    if(measured_count > 0, first_frame_ms, NULL) AS time_to_first_frame_ms,
    if(measured_count > 0, stalled_ratio, NULL) AS rebuffer_ratio,
    if(measured_count > 0, stalls_per_hour, NULL) AS rebuffers_per_hour,
    if(measured_count > 0, bitrate_kbps, NULL) AS average_bitrate_kbps,
    if(measured_count > 0, no_start_ratio, NULL) AS start_failure_ratio
FROM compared
COMMENT 'Each arm of each experiment against its control, by the sessions that have ended';
