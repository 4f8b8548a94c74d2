-- Typed views of decisions_raw; a new agent's decisions are there without one.

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

CREATE OR REPLACE VIEW ${database}.bitrate_decisions ${on_cluster}
(
    decided_at DateTime64(3, 'UTC') COMMENT 'clock of the bitrate agent, UTC; source: bitrate.decisions.v1',
    session_id String COMMENT '[personal] session; source: bitrate.decisions.v1',
    content_id LowCardinality(String) COMMENT 'content; source: bitrate.decisions.v1',
    version UInt32 COMMENT 'counts up per session; source: bitrate.decisions.v1',
    ceiling_kbps Nullable(UInt32) COMMENT 'ceiling from then on, video and audio together, kbit/s; null: none; source: bitrate.decisions.v1',
    rendition_id Nullable(String) COMMENT 'best rendition below the ceiling; source: bitrate.decisions.v1',
    height Nullable(UInt16) COMMENT 'its height, pixels; source: bitrate.decisions.v1',
    reason LowCardinality(String) COMMENT 'why; source: bitrate.decisions.v1',
    throughput_kbps Nullable(UInt32) COMMENT 'throughput estimate used, kbit/s; source: bitrate.decisions.v1, facts',
    buffer_length_ms Nullable(UInt32) COMMENT 'buffer used, milliseconds; source: bitrate.decisions.v1, facts',
    playing_bitrate_kbps Nullable(UInt32) COMMENT 'rendition that played, kbit/s; source: bitrate.decisions.v1, facts',
    facts String COMMENT 'every fact used, JSON; source: bitrate.decisions.v1',
    policy_version LowCardinality(String) COMMENT 'version of the rules; source: bitrate.decisions.v1'
)
AS
SELECT
    at AS decided_at,
    session_id,
    content_id,
    JSONExtractUInt(payload, 'version') AS version,
    JSONExtract(payload, 'ceiling_kbps', 'Nullable(UInt32)') AS ceiling_kbps,
    JSONExtract(payload, 'rendition_id', 'Nullable(String)') AS rendition_id,
    JSONExtract(payload, 'height', 'Nullable(UInt16)') AS height,
    reason,
    JSONExtract(payload, 'facts', 'throughput_kbps', 'Nullable(UInt32)') AS throughput_kbps,
    JSONExtract(payload, 'facts', 'buffer_length_ms', 'Nullable(UInt32)') AS buffer_length_ms,
    JSONExtract(payload, 'facts', 'playing_bitrate_kbps', 'Nullable(UInt32)') AS playing_bitrate_kbps,
    JSONExtractRaw(payload, 'facts') AS facts,
    JSONExtractString(payload, 'policy_version') AS policy_version
FROM ${database}.decisions_raw FINAL
WHERE topic = 'bitrate.decisions.v1'
COMMENT 'Every change of a session''s bitrate ceiling, with the facts it used';

CREATE OR REPLACE VIEW ${database}.recommendations_served ${on_cluster}
(
    served_at DateTime64(3, 'UTC') COMMENT 'clock of the recommendation agent, UTC; source: recommendations.served.v1',
    profile_id String COMMENT '[personal] profile that asked; source: recommendations.served.v1',
    account_id String COMMENT '[personal] pseudonym of the account; source: recommendations.served.v1',
    row String COMMENT 'row of the page; source: recommendations.served.v1',
    row_position UInt32 COMMENT 'place of the row, from 1; source: recommendations.served.v1',
    position UInt32 COMMENT 'place in the row, from 1; source: recommendations.served.v1',
    content_id String COMMENT 'content offered; source: recommendations.served.v1',
    score Float64 COMMENT 'score of the model, without unit; source: recommendations.served.v1',
    reason String COMMENT 'why it was offered; source: recommendations.served.v1',
    model_version LowCardinality(String) COMMENT 'version of the model; source: recommendations.served.v1'
)
AS
SELECT
    at AS served_at,
    profile_id,
    account_id,
    JSONExtractString(row_json, 'row') AS row,
    row_position,
    position,
    JSONExtractString(item_json, 'content_id') AS content_id,
    JSONExtractFloat(item_json, 'score') AS score,
    JSONExtractString(item_json, 'reason') AS reason,
    JSONExtractString(payload, 'model_version') AS model_version
FROM
(
    SELECT at, profile_id, account_id, payload, row_json, row_position
    FROM ${database}.decisions_raw FINAL
    ARRAY JOIN JSONExtractArrayRaw(payload, 'rows') AS row_json, arrayEnumerate(JSONExtractArrayRaw(payload, 'rows')) AS row_position
    WHERE topic = 'recommendations.served.v1'
)
ARRAY JOIN JSONExtractArrayRaw(row_json, 'items') AS item_json, arrayEnumerate(JSONExtractArrayRaw(row_json, 'items')) AS position
COMMENT 'One row per title offered to a profile';

CREATE OR REPLACE VIEW ${database}.steering_decisions ${on_cluster}
(
    decided_at DateTime64(3, 'UTC') COMMENT 'clock of the steering agent, UTC; source: steering.decisions.v1',
    cohort String COMMENT 'whom it is for, * is everybody; source: steering.decisions.v1',
    version UInt32 COMMENT 'counts up per cohort; source: steering.decisions.v1',
    cdns Array(String) COMMENT 'order of CDNs, first to last; source: steering.decisions.v1',
    ttl_s UInt32 COMMENT 'how long players keep it, seconds, as content steering has it; source: steering.decisions.v1',
    reason LowCardinality(String) COMMENT 'why; source: steering.decisions.v1',
    facts String COMMENT 'what was measured of each CDN, JSON; source: steering.decisions.v1',
    policy_version LowCardinality(String) COMMENT 'version of the rules; source: steering.decisions.v1'
)
AS
SELECT
    at AS decided_at,
    JSONExtractString(payload, 'cohort') AS cohort,
    JSONExtractUInt(payload, 'version') AS version,
    JSONExtract(payload, 'order', 'Array(String)') AS cdns,
    JSONExtractUInt(payload, 'ttl_s') AS ttl_s,
    reason,
    JSONExtractRaw(payload, 'facts') AS facts,
    JSONExtractString(payload, 'policy_version') AS policy_version
FROM ${database}.decisions_raw FINAL
WHERE topic = 'steering.decisions.v1'
COMMENT 'Every change of the order of CDNs, with what was measured';

CREATE OR REPLACE VIEW ${database}.titles ${on_cluster}
(
    content_id String COMMENT 'content; source: catalog.titles.v1',
    title String COMMENT 'name for people; source: catalog.titles.v1',
    description String COMMENT 'text for people; source: catalog.titles.v1',
    duration_ms UInt64 COMMENT 'length, milliseconds; source: catalog.titles.v1',
    genres Array(String) COMMENT 'genres; source: catalog.titles.v1',
    language LowCardinality(String) COMMENT 'BCP 47 tag of the original; source: catalog.titles.v1',
    year UInt16 COMMENT 'year of release, 0 where unknown; source: catalog.titles.v1',
    maturity UInt8 COMMENT 'least age, years; source: catalog.titles.v1',
    regions Array(String) COMMENT 'ISO 3166-1 regions where it may be played, empty: everywhere; source: catalog.titles.v1',
    plans Array(String) COMMENT 'plans that include it, empty: every plan; source: catalog.titles.v1',
    listed Bool COMMENT 'offered to viewers; source: catalog.titles.v1',
    top_height UInt16 COMMENT 'height of the best rendition, pixels; source: catalog.titles.v1',
    top_bitrate_kbps UInt32 COMMENT 'peak rate of the best rendition, kbit/s; source: catalog.titles.v1',
    rendition_count UInt16 COMMENT 'renditions of the picture; source: catalog.titles.v1',
    version UInt32 COMMENT 'counts the changes; source: catalog.titles.v1',
    changed_at DateTime64(3, 'UTC') COMMENT 'clock of the broker when it took this version, UTC; source: Kafka'
)
AS
SELECT
    key AS content_id,
    JSONExtractString(newest, 'title') AS title,
    JSONExtractString(newest, 'description') AS description,
    JSONExtractUInt(newest, 'duration_ms') AS duration_ms,
    JSONExtract(newest, 'genres', 'Array(String)') AS genres,
    JSONExtractString(newest, 'language') AS language,
    JSONExtractUInt(newest, 'year') AS year,
    JSONExtractUInt(newest, 'maturity') AS maturity,
    JSONExtract(newest, 'regions', 'Array(String)') AS regions,
    JSONExtract(newest, 'plans', 'Array(String)') AS plans,
    NOT JSONHas(newest, 'listed') OR JSONExtractBool(newest, 'listed') AS listed,
    arrayMax(arrayMap(x -> JSONExtractUInt(x, 'height'), JSONExtractArrayRaw(newest, 'video'))) AS top_height,
    arrayMax(arrayMap(x -> JSONExtractUInt(x, 'bitrate_kbps'), JSONExtractArrayRaw(newest, 'video'))) AS top_bitrate_kbps,
    JSONLength(newest, 'video') AS rendition_count,
    JSONExtractUInt(newest, 'version') AS version,
    changed_at
FROM
(
    SELECT
        key,
        argMax(payload, kafka_offset) AS newest,
        argMax(type, kafka_offset) AS newest_type,
        max(kafka_time) AS changed_at
    FROM ${database}.decisions_raw
    WHERE topic = 'catalog.titles.v1'
    GROUP BY key
)
WHERE newest_type != 'removed'
COMMENT 'The catalog as it is now';

CREATE OR REPLACE VIEW ${database}.accounts_plans ${on_cluster}
(
    account_id String COMMENT '[personal] pseudonym of the account; source: account.events.v1',
    plan LowCardinality(String) COMMENT 'plan, empty or none before the first; source: account.events.v1',
    subscription_state LowCardinality(String) COMMENT 'none, trial, active, grace, paused, cancelled; source: account.events.v1',
    created_at Nullable(DateTime64(3, 'UTC')) COMMENT 'clock of the account agent, UTC; null where it is older than the log; source: account.events.v1',
    changed_at DateTime64(3, 'UTC') COMMENT 'last event of the account, clock of the account agent, UTC; source: account.events.v1'
)
AS
SELECT
    account_id,
    argMax(JSONExtractString(payload, 'plan'), (JSONExtractUInt(payload, 'version'), kafka_offset)) AS plan,
    argMax(JSONExtractString(payload, 'subscription_state'), (JSONExtractUInt(payload, 'version'), kafka_offset)) AS subscription_state,
    minIf(toNullable(at), JSONExtractString(payload, 'fact') = 'account_created') AS created_at,
    max(at) AS changed_at
FROM ${database}.decisions_raw
WHERE topic = 'account.events.v1'
GROUP BY account_id
COMMENT 'Plan and subscription of each account, by pseudonym only';
