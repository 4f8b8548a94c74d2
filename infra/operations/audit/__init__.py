"""Whether the record of license decisions is whole, in Kafka and in ClickHouse."""
