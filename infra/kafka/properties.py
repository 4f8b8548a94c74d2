"""The settings of the embedded single-node broker, as pure functions of ports and paths."""

from pathlib import Path

NODE_ID = 1
HOST = "127.0.0.1"
FORMAT_PORT = 9092

_ONE_NODE: dict[str, str | int] = {
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 4,
}

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


def broker_properties(data: Path) -> str:
    """Return server.properties for one KRaft node that keeps its log in `data`.

    What may differ from start to start is not in it: `start_overrides` has that.
    """
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        # For the format command, which wants to see addresses; a start overrides them.
        **_addresses(FORMAT_PORT, FORMAT_PORT + 1),
        **_ONE_NODE,
        **_SMALL_MACHINE,
        **_BEHAVIOR,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def start_overrides(*, port: int, controller_port: int, fsync: bool) -> tuple[str, ...]:
    """Return the arguments that lay ports and durability of one start over the file.

    With `fsync` every batch is flushed to disk before it is acknowledged.
    """
    settings = dict(_addresses(port, controller_port))
    if fsync:
        settings["log.flush.interval.messages"] = "1"
    return tuple(
        word for name, value in settings.items() for word in ("--override", f"{name}={value}")
    )


def _addresses(port: int, controller_port: int) -> dict[str, str]:
    """Everything on loopback. The voters are static: stored ones would tie the node to a port."""
    return {
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.quorum.voters": f"{NODE_ID}@{HOST}:{controller_port}",
    }
