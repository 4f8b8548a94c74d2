"""Requests are read from address, headers and form alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clickhouse import multipart
from infra.clickhouse.errors import EngineError, from_failure
from infra.clickhouse.multipart import Part
from infra.clickhouse.origins import LOOPBACK_NAMES, foreign_reason
from infra.clickhouse.request import StatementRequest, read_form, read_request
from infra.clickhouse.users import Credentials, User, authenticate, credentials

NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


def a_request(values: dict[str, str]) -> StatementRequest:
    return read_request(
        values, (), query_id="q", user="default", readonly=2, session_seconds_max=3600
    )


def test_settings_parameters_and_the_rest_are_told_apart() -> None:
    asked = a_request(
        {
            "query": "SELECT 1",
            "database": "playhead",
            "max_threads": "1",
            "param_id": "7",
            "session_id": "s",
            "wait_end_of_query": "1",
            "default_format": "JSON",
        }
    )
    assert asked.settings == {"max_threads": "1"}
    assert asked.parameters == {"id": "7"}
    assert (asked.database, asked.default_format) == ("playhead", "JSON")
    assert asked.session is not None
    assert asked.session.seconds == 60


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"max threads; DROP TABLE t": "1"}, 115),
        ({"session_id": "s", "session_timeout": "a day"}, 374),
        ({"session_id": "s", "session_timeout": "1000000"}, 374),
        ({"compress": "1"}, 48),
        ({"decompress": "1"}, 48),
        ({"role": "admin"}, 48),
        ({"default_format": "TSV SETTINGS readonly=0"}, 73),
    ],
)
def test_what_cannot_be_honored_is_refused(values: dict[str, str], code: int) -> None:
    with pytest.raises(EngineError) as refusal:
        a_request(values)
    assert refusal.value.code == code


def test_a_form_brings_values_statement_and_tables() -> None:
    parts = [
        Part(name="query", is_file=False, data=b"SELECT * FROM ids"),
        Part(name="param_x", is_file=False, data=b"1"),
        Part(name="ids", is_file=True, data=b"1\n2\n"),
        Part(name="ids_structure", is_file=False, data=b"id UInt64"),
    ]
    values, statement, tables = read_form({}, parts, table_bytes_max=100)
    assert statement == b"SELECT * FROM ids"
    assert values["param_x"] == "1"
    assert [(table.name, table.structure, table.data) for table in tables] == [
        ("ids", "id UInt64", b"1\n2\n")
    ]
    with pytest.raises(EngineError, match="longer than 3 bytes"):
        read_form({}, parts, table_bytes_max=3)


@given(st.lists(st.tuples(NAMES, st.booleans(), st.binary(max_size=100)), max_size=5))
def test_a_form_comes_out_as_it_went_in(fields: list[tuple[str, bool, bytes]]) -> None:
    body = b""
    for name, is_file, data in fields:
        file_name = b'; filename="f"' if is_file else b""
        head = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + file_name
        body += (
            b"--frontier\r\n" + head + b"\r\n\r\n" + data.replace(b"\r\n--frontier", b"") + b"\r\n"
        )
    parts = multipart.parse("multipart/form-data; boundary=frontier", body + b"--frontier--\r\n")
    assert [(part.name, part.is_file, part.data) for part in parts] == [
        (name, is_file, data.replace(b"\r\n--frontier", b"")) for name, is_file, data in fields
    ]


@given(st.binary(max_size=300), st.text(max_size=50))
def test_no_form_crashes_the_parser(body: bytes, content_type: str) -> None:
    for kind in (content_type, "multipart/form-data; boundary=x"):
        try:
            multipart.parse(kind, b"--x\r\n" + body + b"\r\n--x--")
        except EngineError as error:
            assert error.http_status == 400  # noqa: PT017  # either outcome is right


@pytest.mark.parametrize(
    ("headers", "is_foreign"),
    [
        ({"Host": "127.0.0.1:8123"}, False),
        ({"Host": "LOCALHOST"}, False),
        ({"Host": "[::1]:8123"}, False),
        ({"Host": "localhost", "Origin": "http://localhost:8080"}, False),
        ({"Host": "evil.example"}, True),
        ({"Host": "127.0.0.1.evil.example:8123"}, True),
        ({}, True),
        ({"Host": "[::1"}, True),
        ({"Host": "localhost", "Origin": "https://evil.example"}, True),
        ({"Host": "localhost", "Origin": "null"}, True),
        ({"Host": "localhost", "Sec-Fetch-Site": "cross-site"}, True),
    ],
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str], is_foreign: bool) -> None:
    assert (foreign_reason(headers, LOOPBACK_NAMES) is not None) == is_foreign


def test_credentials_are_looked_for_where_clickhouse_does() -> None:
    assert credentials({"Authorization": "Basic YTpiOmM="}, {}) == Credentials(
        name="a", password="b:c"
    )
    assert credentials({"X-ClickHouse-User": "a", "X-ClickHouse-Key": "b"}, {}).password == "b"
    assert credentials({}, {"user": "a", "password": "b"}).name == "a"
    assert credentials({}, {}).name == "default"
    for header in ("Basic ???", "Bearer x", "Basic /w=="):
        with pytest.raises(EngineError) as refusal:
            credentials({"Authorization": header}, {})
        assert refusal.value.code == 516


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer() -> None:
    users = {"a": User(name="a", password_sha256=bytes(32), readonly=0)}
    for name in ("a", "b"):
        with pytest.raises(EngineError) as refusal:
            authenticate(users, Credentials(name=name, password="x"))
        assert refusal.value.text.replace(f" {name}:", "") == (
            "Code: 516. DB::Exception: Authentication failed: password is incorrect,"
            " or there is no user with such name. (AUTHENTICATION_FAILED)"
        )


def test_a_full_disk_is_one_error_however_it_is_met() -> None:
    engine = "Code: 75. DB::Exception: Cannot write to file /x, errno: 28, strerror: No space left"
    for failure in (RuntimeError(engine), OSError(28, "No space left on device")):
        error = from_failure(failure, "1")
        assert (error.code, error.http_status) == (243, 507)
    assert from_failure(RuntimeError("Code: 60. DB::Exception: x"), "1").http_status == 404
    assert from_failure(ValueError("?"), "1").code == 1001
