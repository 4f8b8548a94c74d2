from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inflate import inflate, require_known_encoding
from gateway.problems import ProblemError
from tests.unit.gateway.deflating import DEFLATE

BYTES_MAX = 4096


def _status(encoding: str, body: bytes, bytes_max: int = BYTES_MAX) -> int:
    try:
        inflate(body, encoding, bytes_max)
    except ProblemError as error:
        return error.problem.status
    return 200


@pytest.mark.parametrize("encoding", DEFLATE)
@given(body=st.binary(max_size=BYTES_MAX))
def test_what_was_deflated_comes_back(encoding: str, body: bytes) -> None:
    assert inflate(DEFLATE[encoding](body), encoding, BYTES_MAX) == body


@pytest.mark.parametrize("encoding", DEFLATE)
@given(body=st.binary(max_size=200), data=st.data())
def test_every_cut_body_is_refused(encoding: str, body: bytes, data: st.DataObject) -> None:
    deflated = DEFLATE[encoding](body)
    length = data.draw(st.integers(0, len(deflated) - 1))
    assert _status(encoding, deflated[:length]) == 400


@pytest.mark.parametrize("encoding", DEFLATE)
@given(body=st.binary(max_size=300))
def test_any_bytes_give_the_body_or_a_problem(encoding: str, body: bytes) -> None:
    assert _status(encoding, body) in {200, 400, 413}


@pytest.mark.parametrize("encoding", DEFLATE)
def test_bytes_after_the_end_are_refused(encoding: str) -> None:
    assert _status(encoding, DEFLATE[encoding](b"one") + b"two") == 400
    assert _status(encoding, DEFLATE[encoding](b"one") * 2) == 400


@pytest.mark.parametrize("encoding", DEFLATE)
def test_a_bomb_is_refused_without_being_inflated(encoding: str) -> None:
    bomb = DEFLATE[encoding](b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    assert _status(encoding, bomb) == 413


@pytest.mark.parametrize("encoding", DEFLATE)
def test_the_limit_itself_is_allowed_and_one_byte_more_is_not(encoding: str) -> None:
    assert _status(encoding, DEFLATE[encoding](b"x" * BYTES_MAX)) == 200
    assert _status(encoding, DEFLATE[encoding](b"x" * (BYTES_MAX + 1))) == 413


def test_a_wrong_checksum_is_refused() -> None:
    deflated = bytearray(gzip.compress(b"something"))
    deflated[-6] ^= 0xFF
    assert _status("gzip", bytes(deflated)) == 400


@pytest.mark.parametrize("header", ["gzip, gzip", "br", "deflate", "gzip,zstd", "GZIP;q=1", "x"])
def test_unknown_encodings_are_415(header: str) -> None:
    with pytest.raises(ProblemError) as caught:
        require_known_encoding(header)
    assert caught.value.problem.status == 415


@pytest.mark.parametrize(
    ("header", "encoding"),
    [("", ""), ("identity", ""), ("gzip", "gzip"), ("GZIP", "gzip"), (" zstd ", "zstd")],
)
def test_known_encodings_are_known(header: str, encoding: str) -> None:
    assert require_known_encoding(header) == encoding
