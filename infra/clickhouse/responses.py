"""Headers and bodies as ClickHouse writes them."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from infra.clickhouse.channel import Summary
from infra.clickhouse.errors import EngineError

_TEXT: Final = "text/plain; charset=UTF-8"
_BINARY: Final = "application/octet-stream"
_CONTENT_TYPES: Final = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "XML": "application/xml; charset=UTF-8",
    "Native": _BINARY,
    "RowBinary": _BINARY,
    "Parquet": _BINARY,
    "Arrow": _BINARY,
    "ArrowStream": _BINARY,
}


def base_headers(query_id: str, timezone: str) -> dict[str, str]:
    """What every answer carries."""
    return {
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Timezone": timezone,
        "X-ClickHouse-Server-Display-Name": "playhead",
        "Content-Type": _TEXT,
        "X-Content-Type-Options": "nosniff",
    }


def result_headers(format_name: str | None) -> dict[str, str]:
    """Those of a result in this format; none for a statement without a result."""
    if format_name is None:
        return {}
    content_type = _CONTENT_TYPES.get(format_name, _TEXT)
    return {"X-ClickHouse-Format": format_name, "Content-Type": content_type}


def summary_header(summary: Summary) -> dict[str, str]:
    """What the statement read and wrote."""
    return {"X-ClickHouse-Summary": msgspec.json.encode(summary).decode()}


def error_response(error: EngineError, query_id: str, timezone: str) -> web.Response:
    """The answer to a statement that failed before its first byte of result."""
    headers = base_headers(query_id, timezone)
    headers["X-ClickHouse-Exception-Code"] = str(error.code)
    if error.code == 516:
        headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
    if error.http_status == 503:
        headers["Retry-After"] = "1"
    body = f"{error.text}\n".encode("utf-8", "replace")
    return web.Response(status=error.http_status, headers=headers, body=body)


def exception_block(error: EngineError, tag: str) -> bytes:
    """What stands at the end of a result that broke off: the message between markers with the tag
    of the headers.
    """
    message = f"{error.text}\n".encode("utf-8", "replace")
    marker = b"\r\n__exception__\r\n"
    name = tag.encode()
    size = str(len(message)).encode()
    return marker + name + b"\r\n" + message + size + b" " + name + marker
