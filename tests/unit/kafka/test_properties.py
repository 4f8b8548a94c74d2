"""The brokers' settings."""

from pathlib import Path

from infra.kafka.properties import Node, broker_properties, start_overrides

NODES = [Node(node_id=n, port=19090 + n, controller_port=19190 + n) for n in (1, 2, 3)]


def test_every_address_is_on_loopback() -> None:
    overrides = start_overrides(2, NODES, fsync=False)
    addresses = [word for word in overrides if word != "--override"]
    assert "listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19192" in addresses
    assert all("127.0.0.1:" in word for word in addresses)


def test_each_node_knows_every_voter() -> None:
    voters = "controller.quorum.voters=1@127.0.0.1:19191,2@127.0.0.1:19192,3@127.0.0.1:19193"
    assert all(voters in start_overrides(node.node_id, NODES, fsync=False) for node in NODES)


def test_each_batch_is_flushed_only_when_that_is_asked_for() -> None:
    flush = "log.flush.interval.messages=1"
    assert flush in start_overrides(1, NODES[:1], fsync=True)
    assert flush not in start_overrides(1, NODES[:1], fsync=False)


def test_the_log_folder_and_the_brokers_own_time_stamps_are_set() -> None:
    written = broker_properties(Path("/data"), 1, 1)
    assert "log.dirs=/data\n" in written
    assert "log.message.timestamp.type=LogAppendTime\n" in written


def test_of_three_brokers_one_may_die_and_none_acknowledges_alone() -> None:
    written = broker_properties(Path("/data"), 3, 3)
    assert "default.replication.factor=3\n" in written
    assert "offsets.topic.replication.factor=3\n" in written
    assert "\nmin.insync.replicas=2\n" in written
    assert "\nmin.insync.replicas=1\n" in broker_properties(Path("/data"), 1, 1)
