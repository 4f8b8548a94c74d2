DROP VIEW IF EXISTS ${database}.title_feedback ${on_cluster} SYNC;
