"""The log: topics, producer, consumer, request and reply, views, dead letters, replay."""
