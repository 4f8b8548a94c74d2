"""The fixed queries behind the player page and the console; values come as parameters."""

from __future__ import annotations

from typing import Final

# Measurements are many: half of the rows are kept for what the viewer did.
EVENTS_QUERY: Final = """
SELECT type, via, source, sequence,
    toUnixTimestamp64Milli(at) AS at_ms, toUnixTimestamp64Milli(received_at) AS received_at_ms,
    playhead_ms, bitrate_kbps, cdn,
    multiIf(
        type = 'bandwidth' AND object_type != '',
        concat(object_type, ' ', toString(ifNull(status, 0))),
        type = 'error', code, type = 'warning', code,
        type = 'interaction', concat(name, ' ', value),
        type = 'stopped', reason,
        type = 'bitrate_changed', concat(toString(ifNull(height, 0)), 'p'),
        type = 'seek', concat('to ', toString(intDiv(ifNull(to_ms, 0), 1000)), ' s'),
        '') AS detail,
    kafka_partition, kafka_offset
FROM events
WHERE session_id = toUUID({session_id:String})
    AND at >= fromUnixTimestamp64Milli({since_ms:Int64})
ORDER BY kafka_time DESC, kafka_offset DESC
LIMIT {half:UInt32} BY type = 'bandwidth'
LIMIT {count:UInt32}
FORMAT JSONEachRow
"""
LICENSES_QUERY: Final = """
SELECT toUnixTimestamp64Milli(decided_at) AS decided_at_ms, action, outcome, reason, system,
    tiers, key_ids_asked, key_ids_granted, policy_version
FROM license_decisions
WHERE session_id = {session_id:String} AND outcome != 'void'
    AND decided_at >= fromUnixTimestamp64Milli({since_ms:Int64})
ORDER BY decided_at DESC
LIMIT {count:UInt32}
FORMAT JSONEachRow
"""
QUALITY_QUERY: Final = """
SELECT event_count, time_to_first_frame_ms, rebuffer_count, rebuffer_duration_ms, played_ms,
    average_bitrate_kbps
FROM sessions
WHERE session_id = toUUID({session_id:String})
    AND started_at >= fromUnixTimestamp64Milli({since_ms:Int64})
ORDER BY version DESC
LIMIT {count:UInt32}
FORMAT JSONEachRow
"""
PLAYS_QUERY: Final = """
SELECT
    countIf(ended_at IS NULL) AS running_count,
    count() AS session_count,
    countIf(playback_failed) AS failed_count,
    if(count(time_to_first_frame_ms) = 0, NULL, quantile(0.5)(time_to_first_frame_ms))
        AS time_to_first_frame_p50_ms,
    if(count(time_to_first_frame_ms) = 0, NULL, quantile(0.95)(time_to_first_frame_ms))
        AS time_to_first_frame_p95_ms,
    if(sum(watched_ms) = 0, NULL, sum(rebuffer_duration_ms) / sum(watched_ms)) AS rebuffer_ratio,
    if(sumIf(played_ms, average_bitrate_kbps IS NOT NULL) = 0, NULL,
        sum(average_bitrate_kbps * played_ms)
            / sumIf(played_ms, average_bitrate_kbps IS NOT NULL)) AS average_bitrate_kbps
FROM sessions
WHERE started_at >= now() - INTERVAL 1 HOUR
FORMAT JSONEachRow
"""
DECISIONS_QUERY: Final = """
SELECT outcome, reason, count() AS count
FROM license_decisions
WHERE decided_at >= now() - INTERVAL 1 HOUR AND action IN ('open', 'license')
    AND outcome != 'void'
GROUP BY outcome, reason
ORDER BY count DESC
FORMAT JSONEachRow
"""
TOPICS_QUERY: Final = """
SELECT topic, sum(accepted) AS accepted, sum(refused) AS refused,
    sum(unavailable) AS unavailable, sum(shed) AS shed, sum(stored) AS stored,
    sum(duplicates) AS duplicates, sum(conflicts) AS conflicts, sum(dead_letters) AS dead_letters,
    toUnixTimestamp64Milli(any(complete_until)) AS complete_until_ms
FROM ledger
WHERE minute >= now() - INTERVAL 1 HOUR
GROUP BY topic
ORDER BY topic
FORMAT JSONEachRow
"""
