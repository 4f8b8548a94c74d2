"""`playhead sql`."""

from __future__ import annotations

import logging
import sys

import click
import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.settings import load_settings
from schemas.errors import PlayheadError


@click.command("sql")
@click.argument("query", required=False)
@json_option
def command(query: str | None, as_json: bool) -> None:
    """Ask ClickHouse and print a table; without QUERY, read it from standard input.

    Example: playhead sql "select * from sessions order by started_at desc limit 5"
    """
    text = query if query is not None else sys.stdin.read()
    if not text.strip():
        raise click.UsageError('there is no query; example: playhead sql "show tables"')
    deployment = Deployment(settings=load_settings())
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    try:
        client = clickhouse_connect.get_client(
            dsn=deployment.reader_url(), autogenerate_session_id=False
        )
        result = client.query(text)
    except OperationalError as error:
        address = deployment.reader_address()
        raise PlayheadError(
            f"ClickHouse does not answer at {address}; `make run` starts it"
        ) from error
    except ClickHouseError as error:
        raise PlayheadError(_first_line(error)) from error
    print_rows(result.column_names, result.result_rows, as_json=as_json)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:500]
