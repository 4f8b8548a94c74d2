from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.license.key_encryption import KeyEncryptionKeys, KeyServiceError
from agents.license.keys import KeyRing, wrapping_context
from schemas.catalog import Tier
from schemas.licenses import ContentKeys, Keys, TierKey, WrappedKey
from schemas.secrets import SecretBytes
from tests.unit.license.key_service import give, keks_of, lose

TIERS: tuple[Tier, ...] = ("audio", "sd", "hd")


@pytest.fixture
def keks() -> KeyEncryptionKeys:
    keks = keks_of()
    give(keks)
    return keks


def counting() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def filled(keks: KeyEncryptionKeys) -> tuple[KeyRing, tuple[WrappedKey, ...]]:
    ring = KeyRing(keks)
    return ring, ring.make_missing("tears", TIERS, now_ms=1, randomness=counting())


def test_keys_are_made_once_per_content_and_tier(keks: KeyEncryptionKeys) -> None:
    ring, made = filled(keks)
    assert [key.tier for key in made] == list(TIERS)
    first = ring.for_packager("tears", TIERS)
    assert ring.make_missing("tears", TIERS, now_ms=2, randomness=counting()) == ()
    assert ring.for_packager("tears", TIERS) == first
    assert len({key.key for key in first}) == len({key.key_id for key in first}) == 3
    player = ring.for_player(tuple(key.key_id for key in first))
    assert [key.key for key in player] == [key.key for key in first]


def test_a_rebuilt_ring_gives_the_same_keys_and_the_first_of_a_tier_stays(
    keks: KeyEncryptionKeys,
) -> None:
    ring, made = filled(keks)
    second = KeyRing(keks)
    for key in (*made, replace(made[0], key_id="f" * 32)):
        second.keep(key)
    assert second.for_packager("tears", TIERS) == ring.for_packager("tears", TIERS)
    assert second.places(("f" * 32,)) == {}


def test_a_key_of_another_period_is_another_key(keks: KeyEncryptionKeys) -> None:
    """Live content counts periods; the model is ready for it."""
    ring, made = filled(keks)
    ring.keep(replace(made[0], key_id="f" * 32, period=1))
    assert ring.places(("f" * 32,)) == {"f" * 32: ("tears", "audio")}
    assert ring.for_packager("tears", ("audio",))[0].key_id == made[0].key_id
    with pytest.raises(KeyServiceError):
        ring.for_player(("f" * 32,))  # it was wrapped for period 0


# -- what is wrapped counts for nothing else -------------------------------------------------------


def opened(keks: KeyEncryptionKeys, key: WrappedKey) -> bytes:
    ring = KeyRing(keks)
    ring.keep(key)
    return ring.for_player((key.key_id,))[0].key


@given(randomness=st.binary(min_size=32, max_size=32), flipped=st.integers(1, 255))
def test_no_byte_of_a_wrapped_key_may_be_another(randomness: bytes, flipped: int) -> None:
    keks = keks_of()
    give(keks)
    (key,) = KeyRing(keks).make_missing(
        "tears", ("sd",), now_ms=1, randomness=lambda n: randomness[:n]
    )
    assert opened(keks, key) == randomness[:16]
    for place in range(len(key.wrapped)):
        wrapped = bytearray(key.wrapped)
        wrapped[place] ^= flipped
        with pytest.raises(KeyServiceError, match="restore"):
            opened(keks, replace(key, wrapped=bytes(wrapped)))


@given(st.integers(0, 43))
def test_half_a_wrapped_key_is_none(length: int) -> None:
    keks = keks_of()
    give(keks)
    (key,) = KeyRing(keks).make_missing("tears", ("sd",), now_ms=1, randomness=counting())
    assert len(key.wrapped) == 44
    for wrapped in (key.wrapped[:length], key.wrapped + bytes(length + 1)):
        with pytest.raises(KeyServiceError, match="restore"):
            opened(keks, replace(key, wrapped=wrapped))


OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "content_id": st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,63}\Z"),
    "key_id": st.binary(min_size=16, max_size=16).map(bytes.hex),
    "tier": st.sampled_from(["audio", "sd", "hd", "uhd"]),
    "kek_version": st.integers(0, 1 << 32),
    "kek_id": st.sampled_from(["", f"{2:032x}", "f" * 32]),
    "period": st.integers(0, 1 << 32),
}


@given(data=st.data())
@pytest.mark.parametrize("name", OTHERS)
def test_a_wrapped_key_counts_for_nothing_else(name: str, data: st.DataObject) -> None:
    keks = keks_of()
    give(keks)
    give(keks, 2)
    (key,) = KeyRing(keks).make_missing("tears", ("sd",), now_ms=1, randomness=counting())
    other = data.draw(OTHERS[name].filter(lambda value: value != getattr(key, name)))
    with pytest.raises(KeyServiceError):
        opened(keks, replace(key, **{name: other}))


@given(st.data())
def test_two_places_never_have_one_binding(data: st.DataObject) -> None:
    fields = ("content_id", "key_id", "tier", "kek_version", "period")
    one, other = (tuple(data.draw(OTHERS[name]) for name in fields) for _ in range(2))
    assert (wrapping_context(*one) == wrapping_context(*other)) == (one == other)


# -- versions --------------------------------------------------------------------------------------


def test_new_keys_lie_under_the_newest_version_that_is_at_hand(keks: KeyEncryptionKeys) -> None:
    ring, _ = filled(keks)
    before = ring.for_packager("tears", TIERS)
    newest = give(keks, 2)
    assert ring.for_packager("tears", TIERS) == before
    (made,) = ring.make_missing("tears", ("uhd",), now_ms=2, randomness=counting())
    assert (made.kek_version, made.kek_id) == (2, newest.kek_id)


def test_a_rewrapped_key_counts_once_its_version_is_at_hand(keks: KeyEncryptionKeys) -> None:
    ring, made = filled(keks)
    before = ring.for_packager("tears", TIERS)
    second = give(keks, 2)
    moved = [ring.rewrapped(key, second) for key in made]
    late = keks_of()
    first = give(late)
    slow = KeyRing(late)
    for key in (*made, *moved):
        slow.keep(key)
    assert slow.for_packager("tears", TIERS) == before
    assert slow.in_use() == {first.kek_id, second.kek_id}, "so the first is not let go of yet"
    give(late, 2)
    slow.settle()
    assert slow.in_use() == {second.kek_id}
    assert slow.for_packager("tears", TIERS) == before


def test_an_older_wrapping_never_replaces_a_newer(keks: KeyEncryptionKeys) -> None:
    ring, made = filled(keks)
    moved = ring.rewrapped(made[0], give(keks, 2))
    for key in (moved, made[0]):
        ring.keep(key)
    assert {key.kek_version for key in ring.all() if key.key_id == moved.key_id} == {2}


def test_without_its_key_or_with_another_everything_fails_closed(keks: KeyEncryptionKeys) -> None:
    ring, made = filled(keks)
    lose(keks)
    for refused in (
        lambda: ring.for_player((made[0].key_id,)),
        lambda: ring.for_packager("tears", TIERS),
        lambda: ring.make_missing("new", TIERS, now_ms=1, randomness=counting()),
    ):
        with pytest.raises(KeyServiceError, match="bring it back"):
            refused()
    other = keks_of()
    kek = give(other, kek_id=made[0].kek_id)
    other._held.clear()
    other._hold(kek, SecretBytes(b"x" * 32))  # another deployment's
    with pytest.raises(KeyServiceError, match="another key"):
        opened(other, made[0])


def test_no_key_shows_in_any_representation(keks: KeyEncryptionKeys) -> None:
    ring, _ = filled(keks)
    packager, player = ring.for_packager("tears", TIERS), ring.for_player(())
    shown = repr([ContentKeys(content_id="tears", keys=packager), Keys(keys=player), ring, keks])
    for key in packager:
        assert isinstance(key, TierKey)
        assert key.key.hex() not in shown
        assert repr(key.key) not in shown
