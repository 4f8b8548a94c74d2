DROP VIEW IF EXISTS ${database}.key_deliveries ${on_cluster} SYNC;
