"""Tests with real processes: Kafka, ClickHouse, workers, the supervisor."""
