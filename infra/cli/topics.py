"""`playhead topics`: the registry against the broker."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version
from pathlib import Path

import click
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.cli.output import json_option, print_rows
from infra.cli.progress import progress_bar
from infra.deployment import Deployment
from infra.operations.growing import PARTITIONS_MAX, SETTLING_S, Growth, grow
from infra.operations.log_access import saying_why
from infra.settings import load_settings
from schemas.errors import PlayheadError
from streams.admin import apply_topics
from streams.administering import administering
from streams.asyncapi import asyncapi_document
from streams.broker import Broker
from streams.partitions import count_partitions, partition_counts
from streams.topic import Topic
from streams.topics import BY_NAME, TOPICS


@click.group("topics")
def command() -> None:
    """Topics: what the registry says, what the broker has, what is written now.

    Example: playhead topics tail license.decisions.v1
    """


def _broker() -> Broker:
    return Deployment(settings=load_settings()).broker()


def _topic(name: str) -> Topic:
    if name not in BY_NAME:
        raise click.UsageError(f"{name} is not a topic; `playhead topics list` names them all")
    return BY_NAME[name]


@command.command("list")
@json_option
def list_topics(as_json: bool) -> None:
    """Every topic, and whether the broker has it.

    Example: playhead topics list
    """
    broker = _broker()
    with saying_why(broker):
        existing = asyncio.run(_existing(broker))
    print_rows(
        ("topic", "key", "partitions", "kept", "writer", "on the broker"),
        (
            (
                topic.name,
                topic.key,
                existing.get(broker.physical(topic.name), topic.partitions),
                _kept(topic),
                topic.writer,
                "yes" if broker.physical(topic.name) in existing else "missing",
            )
            for topic in TOPICS
        ),
        as_json=as_json,
    )


async def _existing(broker: Broker) -> dict[str, int]:
    """By physical name, how many partitions it has there."""
    async with administering(broker) as admin:
        return await partition_counts(admin, await admin.list_topics())


def _kept(topic: Topic) -> str:
    if topic.is_compacted:
        return "compacted"
    if topic.retention_ms is None:
        return "for ever"
    hours = topic.retention_ms / 3_600_000
    return f"{hours / 24:g} d" if hours >= 24 else f"{hours:g} h"


@command.command("apply")
@click.option("--dry-run", is_flag=True, help="Only say what is missing.")
def apply(dry_run: bool) -> None:
    """Make the topics that are missing and set what differs.

    Example: playhead topics apply --dry-run
    """
    deployment = Deployment(settings=load_settings())
    broker = deployment.broker()
    with saying_why(broker):
        made = asyncio.run(
            apply_topics(broker, replication=deployment.replication, dry_run=dry_run)
        )
    for name in made:
        click.echo(f"{'would make' if dry_run else 'made'} {name}")
    click.echo(f"{len(made)} topics {'are missing' if dry_run else 'made'}")


@command.command("migrate")
@click.argument("name")
@click.option(
    "--partitions",
    required=True,
    type=click.IntRange(1, PARTITIONS_MAX),
    help="How many it shall have.",
)
@click.option(
    "--within",
    "drain_s_max",
    default=60,
    show_default=True,
    type=click.IntRange(1, 3600),
    help="Seconds that agents have to read to the end; else nothing is changed.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
def migrate(name: str, partitions: int, drain_s_max: int, dry_run: bool, as_json: bool) -> None:
    """Give a topic more partitions while everything runs; a session keeps its order.

    Nobody can write to it for some 15 s: gateways answer 503 with Retry-After. Killed, it goes on
    by the same command. Example: playhead topics migrate playback.events.v1 --partitions 16
    """
    topic, deployment = _topic(name), Deployment(settings=load_settings())
    with progress_bar() as bar:
        task = bar.add_task("looking", total=None)
        most = 0

        def show(step: str, left: int) -> None:
            nonlocal most
            most = max(most, left)
            bar.update(task, description=step, total=most or None, completed=most - left)

        work = grow(
            deployment, topic, partitions, dry_run=dry_run, drain_s_max=drain_s_max, on_step=show
        )
        try:
            growth = asyncio.run(work)
        except KeyboardInterrupt as error:
            raise PlayheadError(
                "stopped; the same command goes on. Until then the topics may be closed:"
                " `playhead doctor` says"
            ) from error
    _print_growth(growth, dry_run, as_json)


def _print_growth(growth: Growth, dry_run: bool, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(growth))
        return
    print_rows(
        ("topic", "partitions", "to", "records", "closed by a killed command"),
        (
            (each.topic, each.partitions, growth.partitions, each.records, each.is_closed)
            for each in growth.topics
        ),
    )
    click.echo()
    print_rows(
        ("group", "lag", "lag ms", "runs"),
        (
            (g.consumer_group, g.consumer_lag, g.consumer_lag_ms, "yes" if g.is_running else "no")
            for g in growth.groups
        ),
    )
    click.echo()
    if growth.refused_ms is not None:
        click.echo(f"done; nobody could write for {growth.refused_ms / 1000:.1f} s")
    elif growth.is_done:
        click.echo("nothing to do")
    elif dry_run:
        click.echo(f"nobody could write while these groups read to the end, and {SETTLING_S:g} s")


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """One topic: what it carries, its schema, who writes and reads it.

    Example: playhead topics show playback.events.v1
    """
    topic = _topic(name)
    _, schemas = msgspec.json.schema_components([topic.value] if topic.value is not bytes else [])
    described = {
        "topic": topic.name,
        "carries": topic.carries,
        "key": topic.key,
        "partitions": topic.partitions,
        "kept": _kept(topic),
        "writer": topic.writer,
        "readers": topic.readers,
        "schemas": schemas,
    }
    click.echo(json.dumps(described, indent=2))


@command.command("tail")
@click.argument("name")
@click.option("-n", "--last", default=10, show_default=True, help="Records of each partition.")
@click.option("--follow/--no-follow", default=True, help="Go on until Ctrl-C.")
def tail(name: str, last: int, follow: bool) -> None:
    """Print a topic's records decoded, one JSON object a line.

    Example: playhead topics tail playback.events.v1 -n 3 --no-follow
    """
    topic, broker = _topic(name), _broker()
    with saying_why(broker):
        asyncio.run(_tail(broker, topic, last, follow))


async def _tail(broker: Broker, topic: Topic, last: int, follow: bool) -> None:
    count = await count_partitions(broker, topic)
    consumer = AIOKafkaConsumer(**broker.client_options(), group_id=None)
    await consumer.start()
    try:
        physical = broker.physical(topic.name)
        partitions = [TopicPartition(physical, i) for i in range(count)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, max(starts[partition], ends[partition] - last))
        remaining = sum(min(last, ends[p] - starts[p]) for p in partitions)
        while follow or remaining > 0:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    click.echo(_line(topic, record))
                remaining -= len(records)
    finally:
        await consumer.stop()


def _line(topic: Topic, record: object) -> bytes:
    value = getattr(record, "value", None)
    shown: object = None if value is None else f"{len(value)} sealed bytes"
    if value is not None and topic.value is not bytes:
        shown = msgspec.Raw(value) if _is_json(value) else repr(value[:200])
    return msgspec.json.encode(
        {
            "partition": getattr(record, "partition", 0),
            "offset": getattr(record, "offset", 0),
            "timestamp_ms": getattr(record, "timestamp", 0),
            "key": (getattr(record, "key", None) or b"").decode(errors="replace"),
            "value": shown,
        }
    )


def _is_json(value: bytes) -> bool:
    try:
        msgspec.json.decode(value)
    except msgspec.DecodeError:
        return False
    return True


@command.command("asyncapi")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to this file.")
def asyncapi(out: Path | None) -> None:
    """The AsyncAPI document of all topics.

    Example: playhead topics asyncapi --out docs/asyncapi.json
    """
    text = json.dumps(asyncapi_document(version("playhead")), indent=1) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text)
