"""A clickhouse_connect client from the URL that settings hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.errors import PlayheadError


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """`http(s)://user:password@host:port/database`, taken apart."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    database: str


def parse_url(url: str) -> Address:
    """Raises ValueError where a part is missing; its text holds no password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a ClickHouse URL is http(s)://user:password@host:port/database")
    return Address(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")) or "playhead",
    )


def open_client(address: Address, *, with_database: bool = True) -> Client:
    """A client for several threads at a time. Without the database it can be opened before the
    first migration.
    """
    return clickhouse_connect.get_client(
        host=address.host,
        port=address.port,
        secure=address.scheme == "https",
        username=address.user,
        password=address.password,
        database=address.database if with_database else "default",
        # A session is for one thread at a time, and nothing here needs one.
        autogenerate_session_id=False,
    )


@contextmanager
def saying_why() -> Iterator[None]:
    """One clear line, a PlayheadError, instead of the client's own errors."""
    try:
        yield
    except ClickHouseError as error:
        raise PlayheadError(f"ClickHouse: {str(error).splitlines()[0][:300]}") from error
