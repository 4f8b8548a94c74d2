"""What a request asks, read from its address, its headers and its form: no I/O, no engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from infra.clickhouse.errors import EngineError, bad_request, not_implemented, too_large
from infra.clickhouse.multipart import Part

# Names of the URL that are not settings of the engine. Those that ask for nothing that differs here
# are accepted.
_RESERVED: Final = frozenset(
    (
        "add_http_cors_header",
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "close_session",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "http_native_compression_disable_checksumming_on_decompress",
        "http_response_headers",
        "http_write_exception_in_output_format",
        "http_zlib_compression_level",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    )
)
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_FORMAT: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_TRUE: Final = ("1", "true")


class ExternalTable(msgspec.Struct, frozen=True, kw_only=True):
    """A temporary table whose rows came with the request."""

    name: str
    structure: str
    format_name: str
    data: bytes


class SessionReference(msgspec.Struct, frozen=True, kw_only=True):
    """The session that a request belongs to."""

    session_id: str
    seconds: float
    must_exist: bool


class StatementRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One statement with all that surrounds it; `readonly` is the stricter of the user's and the
    method's.
    """

    query_id: str
    user: str
    readonly: int
    database: str
    default_format: str
    settings: dict[str, str]
    parameters: dict[str, str]
    session: SessionReference | None
    external_tables: tuple[ExternalTable, ...]


def read_request(
    values: Mapping[str, str],
    external_tables: tuple[ExternalTable, ...],
    *,
    query_id: str,
    user: str,
    readonly: int,
    session_seconds_max: float,
) -> StatementRequest:
    """Sorts the values of URL, headers and form. Raises EngineError for what cannot be honoured."""
    for name in ("compress", "decompress"):
        if values.get(name, "0") in _TRUE:
            raise not_implemented(
                f"{name}=1 (checksummed blocks): use Accept-Encoding and Content-Encoding instead"
            )
    if values.get("role"):
        raise not_implemented("Roles: the embedded engine has none")
    return StatementRequest(
        query_id=query_id,
        user=user,
        readonly=readonly,
        database=values.get("database", ""),
        default_format=_format(values.get("default_format") or "TabSeparated"),
        settings=_settings(values, {table.name for table in external_tables}),
        parameters={
            name.removeprefix("param_"): value
            for name, value in values.items()
            if name.startswith("param_")
        },
        session=_session(values, session_seconds_max),
        external_tables=external_tables,
    )


def _format(name: str) -> str:
    """Formats go into statements as they are: only a name may."""
    if _FORMAT.match(name) is None:
        raise EngineError(73, f"Unknown format {name}", "UNKNOWN_FORMAT")
    return name


def _settings(values: Mapping[str, str], table_names: set[str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for name, value in values.items():
        if name in _RESERVED or name.startswith("param_"):
            continue
        if name.rpartition("_")[0] in table_names and name.endswith(
            ("_structure", "_types", "_format")
        ):
            continue
        if _SETTING.match(name) is None:
            raise EngineError(115, f"Unknown setting {name!r}", "UNKNOWN_SETTING")
        settings[name] = value
    return settings


def _session(values: Mapping[str, str], seconds_max: float) -> SessionReference | None:
    session_id = values.get("session_id")
    if not session_id:
        return None
    try:
        seconds = float(values.get("session_timeout", "60"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= seconds_max:
        raise EngineError(
            374,
            f"Session timeout must be between 0 and {seconds_max:g} seconds",
            "INVALID_SESSION_TIMEOUT",
        )
    must_exist = values.get("session_check") == "1"
    return SessionReference(session_id=session_id, seconds=seconds, must_exist=must_exist)


def read_form(
    values: dict[str, str], parts: list[Part], *, table_bytes_max: int
) -> tuple[dict[str, str], bytes, tuple[ExternalTable, ...]]:
    """Splits a form in values, SQL and external tables: a part is a table if a structure is given
    for its name.
    """
    merged = dict(values)
    fields = {part.name: part for part in parts}
    described = {
        name.removesuffix(suffix)
        for name in (*values, *fields)
        for suffix in ("_structure", "_types")
        if name.endswith(suffix)
    }
    statement = b""
    tables: list[Part] = []
    for part in parts:
        if part.name == "query":
            statement += part.data
        elif part.is_file or part.name in described:
            tables.append(part)
        else:
            merged[part.name] = part.data.decode("utf-8", "surrogateescape")
    if sum(len(part.data) for part in tables) > table_bytes_max:
        raise too_large(f"External tables are longer than {table_bytes_max} bytes")
    return merged, statement, tuple(_external_table(part, merged) for part in tables)


def _external_table(part: Part, values: Mapping[str, str]) -> ExternalTable:
    structure = values.get(f"{part.name}_structure", "")
    if not structure:
        types = values.get(f"{part.name}_types", "")
        structure = ", ".join(
            f"_{number} {kind}" for number, kind in enumerate(types.split(","), 1) if kind
        )
    if not structure:
        raise bad_request(f"Neither {part.name}_structure nor {part.name}_types is given")
    format_name = _format(values.get(f"{part.name}_format", "TabSeparated"))
    return ExternalTable(
        name=part.name, structure=structure, format_name=format_name, data=part.data
    )
