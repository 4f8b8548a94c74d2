"""What is unpacked is whole, or refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clickhouse.compression import (
    PIECE_BYTES_MAX,
    body_inflater,
    deflater,
    result_encoding,
)
from infra.clickhouse.errors import EngineError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
    "bz2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
}


def inflate(encoding: str, packed: bytes, step: int = 1 << 16) -> bytes:
    inflater = body_inflater(encoding)
    assert inflater is not None
    pieces = []
    for offset in range(0, len(packed), step):
        pieces += list(inflater.feed(packed[offset : offset + step]))
    inflater.finish()
    assert all(len(piece) <= PIECE_BYTES_MAX for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize("encoding", PACK)
@given(members=st.lists(st.binary(max_size=2000), min_size=1, max_size=4), step=st.integers(1, 99))
def test_every_member_is_unpacked_however_the_body_is_cut(
    encoding: str, members: list[bytes], step: int
) -> None:
    packed = b"".join(PACK[encoding](member) for member in members)
    assert inflate(encoding, packed, step) == b"".join(members)


@pytest.mark.parametrize("encoding", PACK)
@given(data=st.data())
def test_a_body_that_ends_early_is_refused(encoding: str, data: st.DataObject) -> None:
    packed = PACK[encoding](b"1\n2\n3\n" * 50)
    cut = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(EngineError) as refusal:
        inflate(encoding, packed[:cut])
    assert (refusal.value.code, refusal.value.http_status) == (354, 400)


@pytest.mark.parametrize("encoding", PACK)
@given(garbage=st.binary(min_size=30, max_size=200))
def test_garbage_is_refused_and_never_crashes(encoding: str, garbage: bytes) -> None:
    with pytest.raises(EngineError) as refusal:
        inflate(encoding, PACK[encoding](b"row\n") + b"\xee" + garbage)
    assert refusal.value.code == 354


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "bz2", "xz"])
def test_a_flipped_bit_in_the_checksum_is_noticed(encoding: str) -> None:
    packed = bytearray(PACK[encoding](b"1\n2\n3\n" * 50))
    packed[-5 if encoding == "gzip" else len(packed) // 2] ^= 1
    with pytest.raises(EngineError):
        inflate(encoding, bytes(packed))


@pytest.mark.parametrize("encoding", PACK)
def test_a_bomb_comes_in_small_pieces(encoding: str) -> None:
    inflater = body_inflater(encoding)
    assert inflater is not None
    size = 0
    for piece in inflater.feed(PACK[encoding](bytes(20 * PIECE_BYTES_MAX))):
        assert len(piece) <= PIECE_BYTES_MAX
        size += len(piece)
    inflater.finish()
    assert size == 20 * PIECE_BYTES_MAX


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(EngineError, match="Unknown compression method: br2"):
        body_inflater("br2")
    assert body_inflater("identity") is None


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("gzip, deflate, br", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("lz4,zstd", "zstd"),
        ("br", None),
        ("", None),
    ],
)
def test_the_fastest_encoding_that_the_client_takes_is_chosen(
    header: str, chosen: str | None
) -> None:
    assert result_encoding(header) == chosen


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
@given(pieces=st.lists(st.binary(max_size=500), max_size=5))
def test_what_is_packed_can_be_unpacked(encoding: str, pieces: list[bytes]) -> None:
    packer = deflater(encoding)
    packed = b"".join(packer.compress(piece) for piece in pieces) + packer.flush()
    assert inflate(encoding, packed) == b"".join(pieces)
