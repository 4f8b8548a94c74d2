-- Who got content keys: one row for each key that left the license agent towards a packager.

CREATE OR REPLACE VIEW ${database}.key_deliveries ${on_cluster}
(
    delivered_at DateTime64(3, 'UTC') COMMENT 'clock of the license agent, UTC; source: key.deliveries.v1',
    request_id String COMMENT 'request that was answered; source: key.deliveries.v1',
    content_id LowCardinality(String) COMMENT 'content; source: key.deliveries.v1',
    tier LowCardinality(String) COMMENT 'tier that the key is for; source: key.deliveries.v1',
    key_id String COMMENT 'key id, hexadecimal; never a key; source: key.deliveries.v1',
    asker LowCardinality(String) COMMENT 'signing key of the component that asked; source: key.deliveries.v1',
    asker_role LowCardinality(String) COMMENT 'what that component is: packager or gateway; source: key.deliveries.v1',
    sender String COMMENT 'whom the token of a packager outside was made for; source: key.deliveries.v1',
    certificates Array(String) COMMENT 'SHA-256 of each certificate that can read the keys, hexadecimal; empty: they were given in clear; source: key.deliveries.v1'
)
AS
SELECT
    at AS delivered_at,
    JSONExtractString(payload, 'request_id') AS request_id,
    content_id,
    tier,
    key_id,
    JSONExtractString(payload, 'asker') AS asker,
    JSONExtractString(payload, 'asker_role') AS asker_role,
    JSONExtractString(payload, 'sender') AS sender,
    JSONExtract(payload, 'certificates', 'Array(String)') AS certificates
FROM ${database}.decisions_raw FINAL
ARRAY JOIN
    JSONExtract(payload, 'tiers', 'Array(String)') AS tier,
    JSONExtract(payload, 'key_ids', 'Array(String)') AS key_id
WHERE topic = 'key.deliveries.v1' AND type != 'removed'
COMMENT 'Content keys that packagers were given, and whom';
