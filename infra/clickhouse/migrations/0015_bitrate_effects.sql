-- From a report to what it made the player do: how late a ceiling works.

CREATE OR REPLACE VIEW ${database}.bitrate_effects ${on_cluster}
(
    decided_at DateTime64(3, 'UTC') COMMENT 'clock of the bitrate agent, UTC; source: bitrate.decisions.v1',
    session_id String COMMENT '[personal] session; source: bitrate.decisions.v1',
    player LowCardinality(String) COMMENT 'player; source: client, at the session''s opening',
    version UInt32 COMMENT 'of the decision, counts up per session; source: bitrate.decisions.v1',
    direction LowCardinality(String) COMMENT 'lowered: the player fetched above the new ceiling; raised: it was free to fetch above the old one; source: fetches before the report',
    ceiling_kbps Nullable(UInt32) COMMENT 'ceiling from then on, video and audio together, kbit/s; null: none; source: bitrate.decisions.v1',
    ceiling_before_kbps Nullable(UInt32) COMMENT 'ceiling of the decision before, kbit/s; null: none; source: bitrate.decisions.v1',
    reported_at DateTime64(3, 'UTC') COMMENT 'clock of the gateway when it took the event that led to the decision, UTC; source: gateway',
    effect_at Nullable(DateTime64(3, 'UTC')) COMMENT 'when the first fetch within the minute was reported that is below the new ceiling, or above the old one, UTC; null: none was; source: gateway',
    decision_ms Int64 COMMENT 'milliseconds from the report to the decision; source: reported_at, decided_at',
    effect_ms Nullable(Int64) COMMENT 'milliseconds from the report to the effect; source: reported_at, effect_at'
)
AS
WITH
    ceilings AS
    (
        SELECT
            at AS decided_at,
            session_id,
            JSONExtractUInt(payload, 'version') AS version,
            JSONExtract(payload, 'ceiling_kbps', 'Nullable(UInt32)') AS ceiling_kbps,
            lagInFrame(JSONExtract(payload, 'ceiling_kbps', 'Nullable(UInt32)'))
                OVER (PARTITION BY session_id ORDER BY JSONExtractUInt(payload, 'version')
                      ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS ceiling_before_kbps,
            (
                JSONExtractString(payload, 'source_topic'),
                JSONExtractUInt(payload, 'source_partition'),
                JSONExtractUInt(payload, 'source_offset')
            ) AS place
        FROM ${database}.decisions_raw FINAL
        WHERE topic = 'bitrate.decisions.v1'
    ),
    heard AS
    (
        SELECT
            toString(e.session_id) AS session_id,
            any(player) AS player,
            groupArray((topic, kafka_partition, kafka_offset)) AS places,
            groupArray(received_at) AS times,
            arraySort(groupArrayIf(
                (received_at, bitrate_kbps),
                type = 'bandwidth' AND bitrate_kbps > 0 AND object_type IN ('', 'v', 'av')
            )) AS fetches
        FROM ${database}.events_raw AS e FINAL
        WHERE toString(e.session_id) IN (SELECT session_id FROM ceilings)
        GROUP BY e.session_id
    )
SELECT
    decided_at,
    ceilings.session_id AS session_id,
    player,
    version,
    multiIf(
        playing_kbps > ceiling_kbps, 'lowered',
        playing_kbps <= ceiling_before_kbps AND (ceiling_kbps IS NULL OR ceiling_kbps > ceiling_before_kbps), 'raised',
        ''
    ) AS direction,
    ceiling_kbps,
    ceiling_before_kbps,
    times[indexOf(places, place)] AS reported_at,
    nullIf(
        arrayFirst(
            fetch -> fetch.1 > reported_at
                AND fetch.1 <= reported_at + INTERVAL 1 MINUTE
                AND if(direction = 'lowered', fetch.2 <= ceiling_kbps, fetch.2 > ceiling_before_kbps),
            fetches
        ).1,
        toDateTime64(0, 3, 'UTC')
    ) AS effect_at,
    dateDiff('millisecond', reported_at, decided_at) AS decision_ms,
    dateDiff('millisecond', reported_at, effect_at) AS effect_ms
FROM
(
    SELECT
        ceilings.*,
        player,
        places,
        times,
        fetches,
        arrayLast(fetch -> fetch.1 <= times[indexOf(places, place)], fetches).2 AS playing_kbps
    FROM ceilings
    INNER JOIN heard ON heard.session_id = ceilings.session_id
) AS ceilings
WHERE direction != '' AND has(places, place) AND playing_kbps > 0
COMMENT 'Every ceiling that asked for another rendition than was fetched: how long from the report to the decision, and to the first fetch that follows it';
