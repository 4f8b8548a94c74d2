"""`playhead ledger`."""

from __future__ import annotations

import time
from typing import Final

import click
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from infra.cli.output import json_option, print_rows
from infra.clickhouse.client import open_client, parse_url
from infra.deployment import Deployment
from infra.settings import load_settings
from schemas.errors import PlayheadError

WATCH_INTERVAL_S: Final = 5.0
QUERY: Final = """
SELECT
    minute,
    topic,
    accepted,
    stored,
    duplicates,
    conflicts,
    dead_letters,
    toInt64(accepted) - toInt64(stored + duplicates + conflicts + dead_letters) AS outstanding,
    refused,
    unavailable,
    shed,
    is_complete
FROM ledger
WHERE minute >= now() - toIntervalMinute({minutes:UInt32})
  AND ({topic:String} = '' OR topic = {topic:String})
ORDER BY minute DESC, topic
"""


@click.command("ledger")
@click.option("--minutes", default=15, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--topic", default="", help="Only this topic.")
@click.option("--watch", is_flag=True, help="Go on every five seconds until Ctrl-C.")
@json_option
def command(minutes: int, topic: str, watch: bool, as_json: bool) -> None:
    """Events accepted against events stored, per minute and topic, newest first.

    A complete minute has nothing outstanding; an open one may. Example: playhead ledger --watch
    """
    deployment = Deployment(settings=load_settings())
    try:
        client = open_client(parse_url(deployment.reader_url()))
        while True:
            if watch and not as_json:
                click.clear()
            _print(client, minutes, topic, as_json)
            if not watch:
                return
            time.sleep(WATCH_INTERVAL_S)
    except ClickHouseError as error:
        raise PlayheadError(f"ClickHouse: {str(error).splitlines()[0][:300]}") from error


def _print(client: Client, minutes: int, topic: str, as_json: bool) -> None:
    found = client.query(QUERY, parameters={"minutes": minutes, "topic": topic})
    rows = [
        [row[0].strftime("%Y-%m-%dT%H:%MZ"), *row[1:-1], bool(row[-1])] for row in found.result_rows
    ]
    print_rows(found.column_names, rows, as_json=as_json)
