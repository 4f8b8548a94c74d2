-- What profiles say of titles: each change, so that thumbs can be held against what was served and watched.

CREATE OR REPLACE VIEW ${database}.title_feedback ${on_cluster}
(
    said_at DateTime64(3, 'UTC') COMMENT 'clock of the recommendation agent, of the broker where it was taken back, UTC; source: title.feedback.v1',
    profile_id String COMMENT '[personal] profile that says it; source: title.feedback.v1',
    content_id LowCardinality(String) COMMENT 'content of which it is said; source: title.feedback.v1',
    thumb LowCardinality(String) COMMENT 'up, down; empty: neither; source: title.feedback.v1',
    is_hidden Bool COMMENT 'never to be offered to the profile; source: title.feedback.v1',
    is_favorite Bool COMMENT 'on the profile''s list; source: title.feedback.v1',
    is_newest Bool COMMENT 'what the profile says now; source: title.feedback.v1'
)
AS
SELECT
    at AS said_at,
    splitByChar(':', key)[1] AS profile_id,
    splitByChar(':', key)[2] AS content_id,
    JSONExtractString(payload, 'thumb') AS thumb,
    JSONExtractBool(payload, 'is_hidden') AS is_hidden,
    JSONExtractBool(payload, 'is_favorite') AS is_favorite,
    kafka_offset = max(kafka_offset) OVER (PARTITION BY key) AS is_newest
FROM ${database}.decisions_raw FINAL
WHERE topic = 'title.feedback.v1'
COMMENT 'Every change of what a profile says of a title; without thumb, not hidden, on no list: taken back';
