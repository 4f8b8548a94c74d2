"""`playhead kafka`."""

from __future__ import annotations

import os

import click

from infra.deployment import Deployment
from infra.kafka.launch import prepare
from infra.settings import load_settings


@click.command("kafka")
def command() -> None:
    """Run the embedded Kafka broker alone, in the foreground.

    Example: PLAYHEAD_KAFKA_PORT=9092 playhead kafka
    """
    settings = load_settings()
    if settings.kafka_brokers > 1:
        raise click.UsageError(
            "several brokers start together: playhead run --only kafka,kafka-2,kafka-3"
        )
    home = Deployment(settings=settings).home
    launch = prepare(home, settings.kafka_port, settings.kafka_fsync)
    click.echo(f"Kafka on {launch.bootstrap}")
    os.execve(launch.argv[0], list(launch.argv), dict(launch.env))  # noqa: S606 - it becomes the broker
