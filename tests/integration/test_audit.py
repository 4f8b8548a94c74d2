"""The audit of license decisions against a real log and a real table, tampered with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from infra.clickhouse.client import open_client, parse_url
from streams.administering import administering
from streams.producer import Publisher, partition_of
from streams.topics import LICENSE_DECISIONS
from tests.integration.viewed import Viewed, a_viewed_deployment

VERIFY = ("license", "audit", "verify", "--json")
DECISIONS = f"topic = '{LICENSE_DECISIONS.name}'"


@pytest.mark.timeout(900)
async def test_tampering_in_either_place_is_found(tmp_path: Path) -> None:
    async with a_viewed_deployment(tmp_path / "home") as viewed:
        whole = (await viewed.operator.done(*VERIFY)).json
        assert whole["break_count"] == 0
        assert whole["log"]["decisions"] == whole["table"]["decisions"] > 2
        assert whole["waiting"] == whole["expired"] == 0
        kept = tmp_path / "elsewhere" / "checkpoint.json"
        await viewed.operator.done("license", "audit", "checkpoint", "--out", str(kept))
        against = (*VERIFY, "--checkpoint", str(kept))
        assert (await viewed.operator.done(*against)).json["break_count"] == 0
        kept.write_bytes(kept.read_bytes().replace(b'"count": ', b'"count": 1'))
        assert "was changed" in (await viewed.operator.run(*against)).err
        await _tamper_with_the_table(viewed)
        await _tamper_with_the_log(viewed)


async def _tamper_with_the_table(viewed: Viewed) -> None:
    """One row is changed, another one taken away, a third one put beside it."""
    partition = partition_of(viewed.viewer.account_id, LICENSE_DECISIONS.partitions)
    with open_client(parse_url(viewed.sandbox.deployment.clickhouse_url())) as client:
        of_partition = f"{DECISIONS} AND kafka_partition = {partition}"
        rows = client.query(
            f"SELECT kafka_offset FROM decisions_raw WHERE {of_partition} ORDER BY kafka_offset"  # noqa: S608 - a number of our own
        ).result_rows
        first, second = rows[0][0], rows[1][0]
        settings: dict[str, Any] = {"mutations_sync": 2}
        client.command(
            "ALTER TABLE decisions_raw UPDATE payload = replaceAll(payload, 'granted', 'denied')"
            f" WHERE {of_partition} AND kafka_offset = {first}",
            settings=settings,
        )
        assert await _breaks(viewed) == [("table", "changed", first)]
        client.command(
            f"ALTER TABLE decisions_raw DELETE WHERE {of_partition} AND kafka_offset = {second}",
            settings=settings,
        )
        assert ("table", "missing", second) in await _breaks(viewed)
        client.command(
            "INSERT INTO decisions_raw SELECT * REPLACE (kafka_offset + 1000 AS kafka_offset,"  # noqa: S608 - the same
            " concat(identity, 'x') AS identity) FROM (SELECT * FROM decisions_raw"
            f" WHERE {of_partition} AND kafka_offset = {first})"
        )
        assert ("log", "missing", first + 1000) in await _breaks(viewed)
        client.command(
            f"ALTER TABLE decisions_raw DELETE WHERE {of_partition}"
            f" AND kafka_offset IN ({first}, {second}, {first + 1000})",
            settings=settings,
        )
    replayed = await viewed.operator.run("replay", LICENSE_DECISIONS.name, "--rate", "0", "--json")
    assert replayed.code == 0, replayed.err
    assert await _breaks(viewed) == []


async def _tamper_with_the_log(viewed: Viewed) -> None:
    """A record that the agent did not write, then the beginning removed."""
    account_id = viewed.viewer.account_id
    partition = partition_of(account_id, LICENSE_DECISIONS.partitions)
    broker = viewed.sandbox.deployment.broker()
    publisher = Publisher(broker, client_id="intruder")
    await publisher.start()
    try:
        receipt = await publisher.publish_raw(
            LICENSE_DECISIONS.name, account_id.encode(), b'{"type":"x"}', {}, partition
        )
    finally:
        await publisher.stop()
    assert ("log", "forged", receipt.offset) in await _breaks(viewed)
    place = TopicPartition(broker.physical(LICENSE_DECISIONS.name), partition)
    async with administering(broker) as admin:
        await admin.delete_records({place: RecordsToDelete(before_offset=1)})
    found = await _breaks(viewed)
    assert ("log", "missing", 0) in found


async def _breaks(viewed: Viewed) -> list[tuple[str, str, int]]:
    said = await viewed.operator.run(*VERIFY)
    breaks = said.json["breaks"]
    assert said.code == (1 if breaks else 0)
    return [(each["where"], each["kind"], each["offset"]) for each in breaks]
