"""Keys sealed to a device: nothing but that device, and that very question, opens them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.errors import InvalidMessageError
from schemas.ids import base64url
from schemas.licenses import ClearKey
from streams.binding import Transcript, bind_keys, open_keys, read_public_key

DEVICE = X25519PrivateKey.from_private_bytes(b"d" * 32)
PUBLIC = DEVICE.public_key().public_bytes_raw()
KEYS = (ClearKey(key_id="a" * 32, key=b"A" * 16), ClearKey(key_id="b" * 32, key=b"B" * 16))

TEXTS = st.text(max_size=40)
KEY_LISTS = st.lists(
    st.builds(
        ClearKey,
        key_id=st.binary(min_size=16, max_size=16).map(bytes.hex),
        key=st.binary(min_size=16, max_size=16),
    ),
    max_size=5,
).map(tuple)


def a_transcript(keys: tuple[ClearKey, ...] = KEYS, **changes: Any) -> Transcript:
    transcript = Transcript(
        session_id="session-1",
        device_id="device-1",
        nonce="n" * 16,
        key_ids=tuple(key.key_id for key in keys),
    )
    return replace(transcript, **changes)


def refuses(
    sealed: bytes, device: X25519PrivateKey = DEVICE, transcript: Transcript | None = None
) -> None:
    with pytest.raises(InvalidMessageError, match="sealed"):
        open_keys(sealed, device, transcript or a_transcript())


@given(KEY_LISTS, TEXTS, TEXTS, TEXTS)
def test_the_device_reads_what_was_sealed_to_it(
    keys: tuple[ClearKey, ...], session_id: str, device_id: str, nonce: str
) -> None:
    transcript = a_transcript(keys, session_id=session_id, device_id=device_id, nonce=nonce)
    sealed = bind_keys(keys, PUBLIC, transcript)
    assert open_keys(sealed, DEVICE, transcript) == keys
    assert all(key.key not in sealed for key in keys)


@settings(max_examples=300)
@given(st.data())
def test_a_changed_byte_opens_nothing(data: st.DataObject) -> None:
    sealed = bind_keys(KEYS, PUBLIC, a_transcript())
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.integers(1, 255))
    refuses(sealed[:place] + bytes([sealed[place] ^ other]) + sealed[place + 1 :])


@given(st.integers(0, 79), st.binary(max_size=3))
def test_a_shortened_or_lengthened_answer_opens_nothing(length: int, more: bytes) -> None:
    sealed = bind_keys(KEYS, PUBLIC, a_transcript())
    assert len(sealed) == 32 + 2 * 16 + 16
    refuses(sealed[:length])
    if more:
        refuses(sealed + more)


def test_a_captured_answer_is_worthless_on_another_device() -> None:
    refuses(bind_keys(KEYS, PUBLIC, a_transcript()), X25519PrivateKey.generate())


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": "session-2"},
        {"device_id": "device-2"},
        {"nonce": "m" * 16},
        {"key_ids": ("b" * 32, "a" * 32)},
        {"key_ids": ("a" * 32,)},
        {"key_ids": ("a" * 32, "b" * 32, "c" * 32)},
        {"session_id": "session-1d", "device_id": "evice-1"},
        {"device_id": "device-1n", "nonce": "n" * 15},
    ],
)
def test_an_answer_counts_for_its_own_question_alone(changes: dict[str, Any]) -> None:
    refuses(bind_keys(KEYS, PUBLIC, a_transcript()), transcript=a_transcript(**changes))


@given(st.tuples(TEXTS, TEXTS, TEXTS), st.tuples(TEXTS, TEXTS, TEXTS))
def test_no_two_transcripts_read_alike(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    first, second = (
        a_transcript(session_id=a, device_id=b, nonce=c).encoded() for a, b, c in (one, other)
    )
    assert (first == second) == (one == other)


def test_the_same_answer_is_never_sealed_alike() -> None:
    assert bind_keys(KEYS, PUBLIC, a_transcript()) != bind_keys(KEYS, PUBLIC, a_transcript())


def test_a_public_key_is_read_from_base64url() -> None:
    assert read_public_key(base64url(PUBLIC)) == PUBLIC


SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
"""Points whose shared secret is zero, whatever the private key (Wycheproof's list)."""


@pytest.mark.parametrize(
    "text",
    [
        *(base64url(point) for point in SMALL_ORDER),
        "",
        base64url(PUBLIC[:31]),
        base64url(PUBLIC + b"x"),
        base64.b64encode(b"\xff" * 32).decode(),
        base64url(PUBLIC)[:-1] + "!",
        base64url(PUBLIC)[:-1] + chr(ord(base64url(PUBLIC)[-1]) + 1),
        "é" * 43,
    ],
)
def test_what_is_no_key_or_everybodys_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessageError, match="device-key"):
        read_public_key(text)
