"""What operators do beyond one call: status, diagnosis, dead letters, households, ingest."""
