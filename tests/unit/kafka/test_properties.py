"""The broker's settings."""

from pathlib import Path

from infra.kafka.properties import broker_properties, start_overrides


def test_every_address_is_on_loopback() -> None:
    overrides = start_overrides(port=19092, controller_port=19093, fsync=False)
    addresses = [word for word in overrides if word != "--override"]
    assert "listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093" in addresses
    assert all("127.0.0.1:" in word for word in addresses)


def test_each_batch_is_flushed_only_when_that_is_asked_for() -> None:
    flush = "log.flush.interval.messages=1"
    assert flush in start_overrides(port=1, controller_port=2, fsync=True)
    assert flush not in start_overrides(port=1, controller_port=2, fsync=False)


def test_the_log_folder_and_the_brokers_own_time_stamps_are_set() -> None:
    written = broker_properties(Path("/data"))
    assert "log.dirs=/data\n" in written
    assert "log.message.timestamp.type=LogAppendTime\n" in written
