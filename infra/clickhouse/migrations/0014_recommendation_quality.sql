-- What came of served recommendations; and what another policy needs to be judged on them: propensities.

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
    model_version LowCardinality(String) COMMENT 'version of the model; source: recommendations.served.v1',
    policy_version LowCardinality(String) COMMENT 'version of what makes rows of a ranking, empty before it was told; source: recommendations.served.v1',
    propensity Float64 COMMENT 'probability that the policy put it at this place, given the places above, 0 to 1; 1 where nothing was drawn; source: recommendations.served.v1'
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
    JSONExtractString(payload, 'model_version') AS model_version,
    JSONExtractString(payload, 'policy_version') AS policy_version,
    if(JSONHas(item_json, 'propensity'), JSONExtractFloat(item_json, 'propensity'), 1.) AS propensity
FROM
(
    SELECT at, profile_id, account_id, payload, row_json, row_position
    FROM ${database}.decisions_raw FINAL
    ARRAY JOIN JSONExtractArrayRaw(payload, 'rows') AS row_json, arrayEnumerate(JSONExtractArrayRaw(payload, 'rows')) AS row_position
    WHERE topic = 'recommendations.served.v1'
)
ARRAY JOIN JSONExtractArrayRaw(row_json, 'items') AS item_json, arrayEnumerate(JSONExtractArrayRaw(row_json, 'items')) AS position
COMMENT 'One row per title offered to a profile';

CREATE OR REPLACE VIEW ${database}.recommendation_quality ${on_cluster}
(
    day Date COMMENT 'day of serving, UTC; source: recommendations_served',
    model_version LowCardinality(String) COMMENT 'version of the model; source: recommendations_served',
    policy_version LowCardinality(String) COMMENT 'version of what makes rows of a ranking; source: recommendations_served',
    list_count UInt64 COMMENT 'pages of rows that were answered, each look of a page is one; source: recommendations_served',
    shown_count UInt64 COMMENT 'titles in them, each once a page; whether a viewer scrolled to it is not known; source: recommendations_served',
    clicked_count UInt64 COMMENT 'of them: the profile opened a session of it within 24 h, counted for the last page before that had it; source: recommendations_served, sessions',
    watched_count UInt64 COMMENT 'of those: a frame was shown; source: recommendations_served, sessions',
    completed_count UInt64 COMMENT 'of those: completion_ratio of 0.9 or more; source: recommendations_served, sessions',
    click_through_ratio Float64 COMMENT 'clicked_count / shown_count, 0 to 1; source: recommendations_served, sessions',
    completion_ratio Nullable(Float64) COMMENT 'completed_count / watched_count, 0 to 1; null where nothing was watched; source: recommendations_served, sessions',
    coverage_ratio Nullable(Float64) COMMENT 'listed titles shown / titles listed, as the catalog is now, 0 to 1; null where nothing is listed; source: recommendations_served, titles',
    diversity Float64 COMMENT 'mean over pages of the Gini-Simpson index of their genres: 0 is one genre, toward 1 many alike; source: recommendations_served, titles',
    ndcg Nullable(Float64) COMMENT 'mean over pages with a click: DCG with 1 / log2(1 + place) of what was clicked, place its best in any row, over the best possible, 0 to 1; null without clicks; source: recommendations_served, sessions'
)
AS
WITH
    pages AS
    (
        SELECT profile_id, served_at, content_id, any(model_version) AS model_version, any(policy_version) AS policy_version, min(position) AS place
        FROM ${database}.recommendations_served
        GROUP BY profile_id, served_at, content_id
    ),
    opened AS
    (
        SELECT profile_id, toString(content_id) AS content_id, UUIDv7ToDateTime(session_id) AS opened_at, played_ms, ifNull(completion_ratio, 0) AS reached
        FROM ${database}.sessions
        WHERE NOT canary
    ),
    clicks AS
    (
        SELECT
            pages.profile_id AS profile_id,
            pages.served_at AS served_at,
            pages.content_id AS content_id,
            1 AS is_clicked,
            max(opened.played_ms > 0) AS is_watched,
            max(opened.played_ms > 0 AND opened.reached >= 0.9) AS is_completed
        FROM opened
        ASOF INNER JOIN pages ON opened.profile_id = pages.profile_id AND opened.content_id = pages.content_id AND opened.opened_at >= pages.served_at
        WHERE opened.opened_at < pages.served_at + INTERVAL 24 HOUR
        GROUP BY profile_id, served_at, content_id
    ),
    lists AS
    (
        SELECT
            pages.profile_id AS profile_id,
            pages.served_at AS served_at,
            any(pages.model_version) AS model_version,
            any(pages.policy_version) AS policy_version,
            count() AS shown,
            groupUniqArrayIf(pages.content_id, known.listed) AS content_ids,
            sum(clicks.is_clicked) AS clicked,
            sum(clicks.is_watched) AS watched,
            sum(clicks.is_completed) AS completed,
            sum(clicks.is_clicked / log2(1 + pages.place)) AS dcg,
            groupArrayArray(known.genres) AS genres
        FROM pages
        LEFT JOIN clicks ON clicks.profile_id = pages.profile_id AND clicks.served_at = pages.served_at AND clicks.content_id = pages.content_id
        LEFT JOIN ${database}.titles AS known ON known.content_id = pages.content_id
        GROUP BY profile_id, served_at
    )
SELECT
    toDate(served_at) AS day,
    model_version,
    policy_version,
    count() AS list_count,
    sum(shown) AS shown_count,
    sum(clicked) AS clicked_count,
    sum(watched) AS watched_count,
    sum(completed) AS completed_count,
    clicked_count / shown_count AS click_through_ratio,
    if(watched_count = 0, NULL, completed_count / watched_count) AS completion_ratio,
    length(groupUniqArrayArray(content_ids)) / nullIf((SELECT count() FROM ${database}.titles WHERE listed), 0) AS coverage_ratio,
    avg(if(empty(genres), 0, 1 - arraySum(genre -> pow(countEqual(genres, genre) / length(genres), 2), arrayDistinct(genres)))) AS diversity,
    if(clicked_count = 0, NULL, avgIf(dcg / arraySum(place -> 1 / log2(1 + place), range(1, toUInt64(clicked) + 1)), clicked > 0)) AS ndcg
FROM lists
GROUP BY day, model_version, policy_version
COMMENT 'What came of served recommendations, by day and version: one row for each';
