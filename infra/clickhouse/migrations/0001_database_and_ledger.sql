-- The database, and the ledger of what was done to it. The runner reads the ledger before anything else.

CREATE DATABASE IF NOT EXISTS ${database} ${on_cluster}
COMMENT 'Playhead: what viewers did, what was decided for them, and how well it played';

CREATE TABLE IF NOT EXISTS ${database}.migrations ${on_cluster}
(
    version UInt32 COMMENT 'number at the beginning of the file''s name',
    name String COMMENT 'rest of the file''s name',
    direction Enum8('up' = 1, 'down' = 2) COMMENT 'the last row of a version says how it stands',
    checksum FixedString(64) COMMENT 'SHA-256 of the file as it was then, hexadecimal',
    applied_at DateTime64(3, 'UTC') COMMENT 'clock of the runner',
    duration_ms UInt32 COMMENT 'milliseconds that its statements took'
)
ENGINE = ${replicated}MergeTree
ORDER BY (version, applied_at)
COMMENT 'One row for each migration that was applied or taken back';
