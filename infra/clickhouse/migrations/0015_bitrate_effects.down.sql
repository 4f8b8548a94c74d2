DROP VIEW IF EXISTS ${database}.bitrate_effects ${on_cluster} SYNC;
