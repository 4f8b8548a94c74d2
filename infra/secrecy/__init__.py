"""Looking for secrets wherever they must not be: in the log, in memory, on a deployment's disk."""
