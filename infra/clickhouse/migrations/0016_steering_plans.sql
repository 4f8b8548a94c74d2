-- The plan of a cohort beside the order: shares of its sessions, ceiling, demand.

CREATE OR REPLACE VIEW ${database}.steering_decisions ${on_cluster}
(
    decided_at DateTime64(3, 'UTC') COMMENT 'clock of the steering agent, UTC; source: steering.decisions.v1',
    cohort String COMMENT 'whom it is for: region/network, * is everybody without a plan; source: steering.decisions.v1',
    version UInt32 COMMENT 'counts up per cohort; source: steering.decisions.v1',
    cdns Array(String) COMMENT 'order of CDNs, first to last; source: steering.decisions.v1',
    ttl_s UInt32 COMMENT 'how long players keep it, seconds, as content steering has it; source: steering.decisions.v1',
    shares Map(String, Float64) COMMENT 'share of the cohort''s sessions by CDN, 0 to 1; empty: the order is everybody''s; source: steering.decisions.v1',
    ceiling_kbps Nullable(UInt32) COMMENT 'ceiling of each session where demand does not fit, kbit/s; null: none; source: steering.decisions.v1',
    demand_mbps Nullable(Float64) COMMENT 'what the cohort would take without a ceiling, Mbit/s; source: steering.decisions.v1',
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
    JSONExtract(payload, 'shares', 'Map(String, Float64)') AS shares,
    JSONExtract(payload, 'ceiling_kbps', 'Nullable(UInt32)') AS ceiling_kbps,
    JSONExtract(payload, 'demand_mbps', 'Nullable(Float64)') AS demand_mbps,
    reason,
    JSONExtractRaw(payload, 'facts') AS facts,
    JSONExtractString(payload, 'policy_version') AS policy_version
FROM ${database}.decisions_raw FINAL
WHERE topic = 'steering.decisions.v1'
COMMENT 'Every change of the order or of the shares of CDNs, with what was measured';
