"""HPKE contexts: as the standard has them, in any order, and nothing changed is read."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidMessageError
from streams.sealing import NUMBER_BYTES, OpeningContext, SealingContext, unseal

# RFC 9180, appendix A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode.
EPHEMERAL = "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736"
RECEIVER = "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"
ENCAPSULATED = "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
INFO = b"Ode on a Grecian Urn"
PLAIN = b"Beauty is truth, truth beauty"
CIPHERTEXTS = (
    "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
    "af2d7e9ac9ae7e270f46ba1f975be53c09f8d875bdc8535458c2494e8a6eab251c03d0c22a56b8ca42c2063b84",
)


def key(text: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(text))


def a_pair(info: bytes = b"info") -> tuple[SealingContext, OpeningContext, X25519PrivateKey]:
    private = X25519PrivateKey.generate()
    sealing = SealingContext(private.public_key().public_bytes_raw(), info)
    return sealing, OpeningContext(private, sealing.encapsulated, info), private


def test_it_is_what_the_standard_says() -> None:
    receiver = key(RECEIVER)
    public = receiver.public_key().public_bytes_raw()
    context = SealingContext(public, INFO, key(EPHEMERAL))
    assert context.encapsulated.hex() == ENCAPSULATED
    opening = OpeningContext(receiver, context.encapsulated, INFO)
    for number, expected in enumerate(CIPHERTEXTS):
        sealed = context.seal(PLAIN, b"Count-%d" % number)
        assert sealed[NUMBER_BYTES:].hex() == expected
        assert opening.open(sealed, b"Count-%d" % number) == PLAIN


def test_its_first_message_is_one_sealed_alone() -> None:
    context, _, private = a_pair()
    alone = context.encapsulated + context.seal(PLAIN, b"")[NUMBER_BYTES:]
    assert unseal(alone, private, b"info") == PLAIN


@given(st.lists(st.tuples(st.binary(max_size=50), st.binary(max_size=20)), max_size=8), st.data())
def test_messages_are_read_in_any_order_and_each_once_made(
    messages: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    sealing, opening, _ = a_pair()
    made = [(sealing.seal(plain, tied), plain, tied) for plain, tied in messages]
    assert len({sealed[:NUMBER_BYTES] for sealed, _, _ in made}) == len(made)
    for sealed, plain, tied in data.draw(st.permutations(made)):
        assert opening.open(sealed, tied) == plain


@given(st.integers(min_value=0), st.integers(0, 7))
def test_nothing_that_was_changed_is_read(place: int, bit: int) -> None:
    sealing, opening, _ = a_pair()
    sealed = bytearray(sealing.seal(PLAIN, b"tied"))
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(InvalidMessageError, match="sealed"):
        opening.open(bytes(sealed), b"tied")


def test_nothing_is_read_elsewhere() -> None:
    sealing, opening, private = a_pair()
    sealed = sealing.seal(PLAIN, b"tied")
    other_info = OpeningContext(private, sealing.encapsulated, b"other")
    other_key = OpeningContext(X25519PrivateKey.generate(), sealing.encapsulated, b"info")
    for context, tied in ((opening, b"other"), (other_info, b"tied"), (other_key, b"tied")):
        with pytest.raises(InvalidMessageError, match="sealed"):
            context.open(sealed, tied)
    for encapsulated in (b"", b"\0" * 32, b"x" * 31):
        with pytest.raises(InvalidMessageError, match="sealed"):
            OpeningContext(private, encapsulated, b"info")
    for short in (b"", sealed[:NUMBER_BYTES], sealed[:20]):
        with pytest.raises(InvalidMessageError, match="sealed"):
            opening.open(short, b"tied")
