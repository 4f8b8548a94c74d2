DROP VIEW IF EXISTS ${database}.sessions ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.events ${on_cluster} SYNC;
