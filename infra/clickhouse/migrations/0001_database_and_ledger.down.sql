-- Runs last of all: what other migrations made is gone by then. A database with tables of others stays.

DROP TABLE IF EXISTS ${database}.migrations ${on_cluster} SYNC;
