DROP VIEW IF EXISTS ${database}.recommendation_quality ${on_cluster} SYNC;

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
