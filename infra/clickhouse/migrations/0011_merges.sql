-- Wider merges. At 45,000 events a second merging took half of what ClickHouse takes of the
-- processor: with a base of 10 instead of 5 a row is merged less often, and an event costs a fifth
-- less (docs/performance.md). The price is more parts that a read goes through, some thirty a day.

ALTER TABLE ${database}.events_raw ${on_cluster} MODIFY SETTING merge_selector_base = 10;
ALTER TABLE ${database}.events_by_minute ${on_cluster} MODIFY SETTING merge_selector_base = 10;
ALTER TABLE ${database}.ingest_ledger ${on_cluster} MODIFY SETTING merge_selector_base = 10;
