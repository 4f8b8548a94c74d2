-- A decision of a license worker that another one had overtaken was never told to anybody. The sink,
-- which reads each partition in order, says so of its row; the view calls its outcome void, so that
-- no question about what was granted counts it. Rows of before are told by
-- `playhead replay license.decisions.v1 --replace MONTH`.

ALTER TABLE ${database}.decisions_raw ${on_cluster}
    ADD COLUMN IF NOT EXISTS is_void Bool DEFAULT false COMMENT 'of two workers another decided first: it never counted; source: chain of the partition' AFTER canary;

CREATE OR REPLACE VIEW ${database}.license_decisions ${on_cluster}
(
    decided_at DateTime64(3, 'UTC') COMMENT 'clock of the license agent, UTC; source: license.decisions.v1',
    decision_id String COMMENT 'id of the decision; source: license.decisions.v1',
    request_id String COMMENT 'request that was decided; source: license.decisions.v1',
    action LowCardinality(String) COMMENT 'open, extend, end, license, remove_device, lapse; source: license.decisions.v1',
    outcome LowCardinality(String) COMMENT 'granted, denied, or void: of two workers another decided first, nothing came of it; source: license.decisions.v1, its chain',
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
    if(is_void, 'void', decisions_raw.outcome) AS outcome,
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
WHERE topic = 'license.decisions.v1' AND NOT canary
COMMENT 'Every decision of the license agent, granted, denied or void, with the facts it used; probes left out';
