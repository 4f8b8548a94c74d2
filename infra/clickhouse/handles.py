"""A handle made ready for one request, and put back in order where it belongs to a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from infra.clickhouse import sql
from infra.clickhouse.data_files import DataFiles, insert_file
from infra.clickhouse.engine import Engine, Handle
from infra.clickhouse.guard import admitted
from infra.clickhouse.request import ExternalTable, StatementRequest
from infra.clickhouse.sessions import Session, Sessions


class _Changed(msgspec.Struct, frozen=True, array_like=True):
    """A setting as it was before the request, as system.settings has it."""

    name: str
    value: str
    is_changed: int


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A handle on which the statement can run; `session` is set where the handle is the session's
    own.
    """

    handle: Handle
    session: Session | None


@contextmanager
def ready_handle(
    engine: Engine,
    sessions: Sessions,
    request: StatementRequest,
    *,
    user_readonly: int,
    leaves_state: bool,
    default_database: str,
    files: DataFiles,
) -> Iterator[Ready]:
    """A handle with the request's database, settings and external tables; nothing of them outlives
    the request.
    """
    if request.session is None:
        with _fresh_handle(engine, request.readonly) as handle:
            _use(handle, request.database, default_database)
            _prepare(handle, request, files)
            yield Ready(handle=handle, session=None)
        return
    with sessions.locked(request.user, request.session) as session:
        if not leaves_state and session.handle is None:
            with _fresh_handle(engine, request.readonly) as handle:
                _use(handle, request.database, default_database)
                _prepare(handle, request, files)
                yield Ready(handle=handle, session=None)
            return
        if session.handle is None:
            session.database = default_database
            session.handle = _new_handle(engine, user_readonly)
        before = _settings_before(session.handle, request)
        try:
            _use(session.handle, request.database, session.database)
            _prepare(session.handle, request, files)
            yield Ready(handle=session.handle, session=session)
        finally:
            _put_back(session.handle, request, before)


@contextmanager
def _fresh_handle(engine: Engine, readonly: int) -> Iterator[Handle]:
    handle = _new_handle(engine, readonly)
    try:
        yield handle
    finally:
        handle.close()


def _new_handle(engine: Engine, readonly: int) -> Handle:
    handle = engine.handle()
    if readonly:
        # The engine lets nobody take this back on the same handle.
        handle.query(f"SET readonly = {readonly:d}", "Null")
    return handle


def _use(handle: Handle, asked: str, default: str) -> None:
    """The database asked for must exist; the default one comes with the first migration."""
    if asked:
        handle.query(f"USE {sql.quoted_name(asked)}", "Null")
    elif default:
        with suppress(RuntimeError):
            handle.query(f"USE {sql.quoted_name(default)}", "Null")


def _prepare(handle: Handle, request: StatementRequest, files: DataFiles) -> None:
    if request.settings:
        pairs = (f"{name} = {sql.quoted(value)}" for name, value in request.settings.items())
        handle.query("SET " + ", ".join(pairs), "Null")
    for table in request.external_tables:
        _fill(handle, table, request.user, files)


def _fill(handle: Handle, table: ExternalTable, user: str, files: DataFiles) -> None:
    name = sql.quoted_name(table.name)
    statement = f"CREATE TEMPORARY TABLE {name} ({table.structure}) ENGINE = Memory"
    # The structure is the client's text: it may be more than columns.
    admitted(handle, statement.encode("utf-8", "surrogateescape"), user=user, readonly=0)
    handle.query(statement, "Null")
    insert = sql.InsertText(
        target=f"INSERT INTO {name}".encode(),
        settings=b"",
        format_name=table.format_name,
        data_offset=0,
    )
    with files.holding([table.data]) as path:
        insert_file(handle, insert, path)


def _settings_before(handle: Handle, request: StatementRequest) -> list[_Changed]:
    if not request.settings:
        return []
    names = ", ".join(sql.quoted(name) for name in request.settings)
    statement = f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})"  # noqa: S608  # quoted
    rows = handle.query(statement, "JSONCompactEachRow").bytes() or b""
    return [msgspec.json.decode(row, type=_Changed) for row in rows.splitlines()]


def _put_back(handle: Handle, request: StatementRequest, before: list[_Changed]) -> None:
    with suppress(RuntimeError):
        for table in request.external_tables:
            handle.query(f"DROP TEMPORARY TABLE IF EXISTS {sql.quoted_name(table.name)}", "Null")
    pairs = ", ".join(
        f"{item.name} = {sql.quoted(item.value) if item.is_changed else 'DEFAULT'}"
        for item in before
    )
    if pairs:
        with suppress(RuntimeError):
            handle.query(f"SET {pairs}", "Null")
