from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from agents.license.keys import KeyRing, KeyServiceError
from infra.keys.kek import FileKeyProvider, create_kek, rotate_kek
from schemas.catalog import Tier
from schemas.licenses import ContentKeys, Keys, TierKey, WrappedKey

TIERS: tuple[Tier, ...] = ("audio", "sd", "hd")


@pytest.fixture
def kek(tmp_path: Path) -> Path:
    create_kek(tmp_path / "kek.json")
    return tmp_path / "kek.json"


def counting() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def filled(kek: Path) -> tuple[KeyRing, tuple[WrappedKey, ...]]:
    ring = KeyRing(FileKeyProvider(kek))
    return ring, ring.make_missing("tears", TIERS, now_ms=1, randomness=counting())


def test_keys_are_made_once_per_content_and_tier(kek: Path) -> None:
    ring, made = filled(kek)
    assert [key.tier for key in made] == list(TIERS)
    first = ring.for_packager("tears", TIERS)
    assert ring.make_missing("tears", TIERS, now_ms=2, randomness=counting()) == ()
    assert ring.for_packager("tears", TIERS) == first
    assert len({key.key for key in first}) == len({key.key_id for key in first}) == 3
    player = ring.for_player(tuple(key.key_id for key in first))
    assert [key.key for key in player] == [key.key for key in first]


def test_a_rebuilt_ring_gives_the_same_keys_and_the_first_of_a_tier_stays(kek: Path) -> None:
    ring, made = filled(kek)
    second = KeyRing(FileKeyProvider(kek))
    for key in (*made, replace(made[0], key_id="f" * 32)):
        second.keep(key)
    assert second.for_packager("tears", TIERS) == ring.for_packager("tears", TIERS)
    assert second.places(("f" * 32,)) == {}


@pytest.mark.parametrize(
    "changes",
    [{"content_id": "other"}, {"tier": "uhd"}, {"kek_version": 2}, {"wrapped": b"x" * 44}],
)
def test_a_wrapped_key_counts_for_nothing_else(kek: Path, changes: dict[str, object]) -> None:
    _, made = filled(kek)
    other = KeyRing(FileKeyProvider(kek))
    moved = replace(made[0], **changes)
    other.keep(moved)
    with pytest.raises(KeyServiceError):
        other.for_player((moved.key_id,))


def test_a_rotated_key_unwraps_the_old_and_wraps_the_new(kek: Path) -> None:
    ring, _ = filled(kek)
    before = ring.for_packager("tears", TIERS)
    assert rotate_kek(kek) == 2
    assert ring.for_packager("tears", TIERS) == before
    (made,) = ring.make_missing("tears", ("uhd",), now_ms=2, randomness=counting())
    assert made.kek_version == 2


def test_without_its_key_or_with_another_everything_fails_closed(kek: Path, tmp_path: Path) -> None:
    ring, made = filled(kek)
    create_kek(kek)  # another deployment's
    with pytest.raises(KeyServiceError):
        ring.for_player((made[0].key_id,))
    kek.unlink()
    with pytest.raises(KeyServiceError):
        ring.for_packager("tears", TIERS)
    with pytest.raises(KeyServiceError):
        ring.make_missing("new", TIERS, now_ms=1, randomness=counting())
    kek.write_text("not a key file")
    kek.chmod(0o600)
    with pytest.raises(KeyServiceError):
        ring.for_packager("tears", TIERS)


def test_a_key_file_that_others_may_read_fails_closed(kek: Path) -> None:
    ring, made = filled(kek)
    kek.chmod(0o640)
    with pytest.raises(KeyServiceError, match="chmod 600"):
        ring.for_player((made[0].key_id,))


def test_no_key_shows_in_any_representation(kek: Path) -> None:
    ring, _ = filled(kek)
    packager, player = ring.for_packager("tears", TIERS), ring.for_player(())
    shown = repr([ContentKeys(content_id="tears", keys=packager), Keys(keys=player), ring])
    for key in packager:
        assert isinstance(key, TierKey)
        assert key.key.hex() not in shown
        assert repr(key.key) not in shown
