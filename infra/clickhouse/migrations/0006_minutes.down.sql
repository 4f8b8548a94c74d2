DROP VIEW IF EXISTS ${database}.events_by_minute_of_events ${on_cluster} SYNC;
DROP TABLE IF EXISTS ${database}.events_by_minute ${on_cluster} SYNC;
