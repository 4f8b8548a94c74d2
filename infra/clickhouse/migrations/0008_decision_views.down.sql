DROP VIEW IF EXISTS ${database}.accounts_plans ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.titles ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.steering_decisions ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.recommendations_served ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.bitrate_decisions ${on_cluster} SYNC;
DROP VIEW IF EXISTS ${database}.license_decisions ${on_cluster} SYNC;
