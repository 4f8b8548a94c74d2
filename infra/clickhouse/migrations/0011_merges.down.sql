ALTER TABLE ${database}.ingest_ledger ${on_cluster} RESET SETTING merge_selector_base;
ALTER TABLE ${database}.events_by_minute ${on_cluster} RESET SETTING merge_selector_base;
ALTER TABLE ${database}.events_raw ${on_cluster} RESET SETTING merge_selector_base;
