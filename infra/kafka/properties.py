"""The settings of the embedded brokers, as pure functions of ports and paths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

HOST: Final = "127.0.0.1"
SMALLEST_CLUSTER: Final = 3
"""Brokers with which one may die: a batch is acknowledged by two of three."""

_SMALL_MACHINE: dict[str, str | int] = {
    "num.network.threads": 2,
    "num.io.threads": 4,
    "num.recovery.threads.per.data.dir": 2,
    "background.threads": 4,
    # The default of 128 MiB is taken from the heap at once; this holds 700,000 keys per pass.
    "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
}

_BEHAVIOR: dict[str, str | int] = {
    "auto.create.topics.enable": "false",
    "log.message.timestamp.type": "LogAppendTime",
    "group.initial.rebalance.delay.ms": 0,
    # After kill -9 a broker waits until its old registration has lapsed: 9 s by default.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 500,
}

_OF_THREE: dict[str, str | int] = {
    # Whoever waits for a dead broker's acknowledgment waits for the controller to miss it, and
    # where that was the controller itself, first for another one: these two times and an election.
    "broker.session.timeout.ms": 1000,
    "broker.heartbeat.interval.ms": 200,
    "controller.quorum.election.timeout.ms": 250,
    "controller.quorum.election.backoff.max.ms": 100,
    "controller.quorum.request.timeout.ms": 1000,
    # A controller answers a fetch after 500 ms where it has nothing: too near to the times below.
    "metadata.max.idle.interval.ms": 150,
    # A follower that lives but does not fetch keeps acknowledgments waiting so long.
    "replica.lag.time.max.ms": 2000,
    "replica.fetch.wait.max.ms": 250,
    "replica.fetch.backoff.ms": 50,
    "controller.socket.timeout.ms": 1000,
}

_MISSED_MS: dict[int, int] = {1: 650, 2: 800, 3: 950}
"""When each node misses the controller: not at once, or all would stand and none be elected."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One broker's id and where it listens; it is a controller as well."""

    node_id: int
    port: int
    controller_port: int


def broker_properties(data: Path, node_id: int, brokers: int) -> str:
    """Return server.properties for one KRaft node of so many, which keeps its log in `data`.

    What may differ from start to start is not in it: `start_overrides` has that.
    """
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": node_id,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        # For the format command, which wants to see addresses; a start overrides them.
        **_addresses(
            node_id,
            [Node(node_id=n, port=2 * n, controller_port=2 * n + 1) for n in range(1, brokers + 1)],
        ),
        **_replication(brokers),
        **_SMALL_MACHINE,
        **_BEHAVIOR,
        **(_of_several(node_id) if brokers > 1 else {}),
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def start_overrides(node_id: int, nodes: Sequence[Node], *, fsync: bool) -> tuple[str, ...]:
    """Return the arguments that lay ports and durability of one start over the file.

    With `fsync` every batch is flushed to disk before it is acknowledged.
    """
    settings = dict(_addresses(node_id, nodes))
    if fsync:
        settings["log.flush.interval.messages"] = "1"
    return tuple(
        word for name, value in settings.items() for word in ("--override", f"{name}={value}")
    )


def _of_several(node_id: int) -> dict[str, str | int]:
    return {**_OF_THREE, "controller.quorum.fetch.timeout.ms": _MISSED_MS[node_id]}


def _replication(brokers: int) -> dict[str, str | int]:
    """Everything on every broker; a batch counts once all but one of them have it."""
    least = max(1, brokers - 1)
    return {
        "default.replication.factor": brokers,
        "min.insync.replicas": least,
        "offsets.topic.replication.factor": brokers,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": brokers,
        "transaction.state.log.min.isr": least,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": brokers,
        "share.coordinator.state.topic.min.isr": least,
        "share.coordinator.state.topic.num.partitions": 4,
    }


def _addresses(node_id: int, nodes: Sequence[Node]) -> dict[str, str]:
    """Everything on loopback. The voters are static: stored ones would tie a node to a port."""
    (own,) = (node for node in nodes if node.node_id == node_id)
    voters = ",".join(f"{node.node_id}@{HOST}:{node.controller_port}" for node in nodes)
    return {
        "listeners": f"PLAINTEXT://{HOST}:{own.port},CONTROLLER://{HOST}:{own.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{own.port}",
        "controller.quorum.voters": voters,
    }
