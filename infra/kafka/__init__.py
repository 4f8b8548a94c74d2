"""The embedded Apache Kafka broker: its jars, its settings, how it is started and asked."""
