"""What a worker holds of key-encryption keys: unwrapped by their roots, and no longer than those
answer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agents.license import key_encryption
from agents.license.key_encryption import (
    KeyEncryptionKeys,
    KeyServiceError,
    kek_context,
    name_of,
)
from schemas.licenses import KeyEncryptionKey
from schemas.secrets import SecretBytes
from streams.records import Record
from tests.gateway_fakes import MemoryClock
from tests.unit.license.key_service import MemoryRoot, keks_of


async def made(keks: KeyEncryptionKeys, count: int = 1) -> list[KeyEncryptionKey]:
    """So many versions, in the log and at hand."""
    for _ in range(count):
        keks.keep(await keks.make(0))
    await keks.refresh(())
    return list(keks.known)


async def test_versions_count_up_and_the_newest_wraps() -> None:
    keks = keks_of()
    with pytest.raises(KeyServiceError, match="no key-encryption key yet"):
        keks.current()
    first, second = await made(keks, 2)
    assert (first.version, second.version) == (1, 2)
    assert keks.current() == second
    keks.keep(replace(second, retired_at_ms=1))
    assert keks.current() == first


async def test_a_version_counts_once_its_root_has_unwrapped_it() -> None:
    keks = keks_of()
    kek = await keks.make(0)
    keks.keep(kek)
    with pytest.raises(KeyServiceError, match="not been asked yet"):
        keks.current()
    await keks.refresh(())
    assert keks.current() == kek


async def test_new_versions_come_after_those_of_the_old_file_which_only_unwrap() -> None:
    keks = KeyEncryptionKeys(
        (MemoryRoot(),), clock=MemoryClock(), inherited={3: SecretBytes(b"k" * 32)}
    )
    with pytest.raises(KeyServiceError):
        keks.current()
    (kek,) = await made(keks)
    assert kek.version == 4
    wrapped = keks.wrap(("", 3), SecretBytes(b"c" * 16), b"context")
    assert keks.unwrap(("", 3), wrapped, b"context").reveal() == b"c" * 16


async def test_one_call_unwraps_all_of_a_root_and_a_damaged_one_alone_is_lost() -> None:
    root = MemoryRoot()
    keks = keks_of(root)
    first, second, third = await made(keks, 3)
    assert root.calls[-1] == 3
    for kek in (first, replace(second, wrapped=bytes(len(second.wrapped))), third):
        keks.keep(kek)
    await keks.refresh(())
    assert keks.holds(name_of(first))
    assert keks.holds(name_of(third))
    with pytest.raises(KeyServiceError, match=r"version 2 .* another root wrapped it"):
        keks.unwrap(name_of(second), bytes(44), b"")


@pytest.mark.parametrize(
    "changes",
    [{"kek_id": "f" * 32}, {"version": 7}, {"root": "other"}],
    ids=lambda c: next(iter(c)),
)
async def test_a_wrapped_version_counts_for_nothing_else(changes: dict[str, object]) -> None:
    keks = keks_of(MemoryRoot(), MemoryRoot("other"))
    kek = await keks.make(0)
    moved = replace(kek, **changes)
    keks.keep(moved)
    await keks.refresh(())
    assert not keks.holds(name_of(moved))
    assert kek_context(kek.kek_id, kek.version, kek.root) != kek_context(
        moved.kek_id, moved.version, moved.root
    )


async def test_every_byte_of_a_wrapped_version_counts() -> None:
    keks = keks_of()
    kek = await keks.make(0)
    for place in range(len(kek.wrapped)):
        wrapped = bytearray(kek.wrapped)
        wrapped[place] ^= 1
        flipped = replace(kek, wrapped=bytes(wrapped))
        keks.keep(flipped)
        await keks.refresh(())
        assert not keks.holds(name_of(flipped))


async def test_a_silent_root_is_forgiven_for_its_grace_alone() -> None:
    clock, root = MemoryClock(), MemoryRoot(grace_ms=1_000)
    keks = keks_of(root, clock=clock)
    (kek,) = await made(keks)
    root.away = "the token is out: put it in"
    clock.now_ms += 999
    await keks.refresh(())
    assert keks.current() == kek
    clock.now_ms += 1
    await keks.refresh(())
    with pytest.raises(KeyServiceError, match="put it in"):
        keks.current()
    root.away = ""
    await keks.refresh(())
    assert keks.current() == kek


async def test_a_root_that_has_never_answered_has_no_grace() -> None:
    root = MemoryRoot(grace_ms=300_000)
    kek = await keks_of(root).make(0)
    keks = keks_of(root, clock=MemoryClock(1))  # soon after the machine's start
    keks.keep(kek)
    root.away = "the token is out: put it in"
    await keks.refresh(())
    with pytest.raises(KeyServiceError, match="put it in"):
        keks.current()


async def test_a_root_that_never_answers_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_encryption, "PROVIDER_S_MAX", 0.01)
    root = MemoryRoot()
    keks = keks_of(root)
    await made(keks)
    root.hangs = True
    await keks.refresh(())
    with pytest.raises(KeyServiceError, match="did not answer"):
        keks.current()
    with pytest.raises(KeyServiceError, match="did not answer"):
        await keks.make(0)


async def test_a_silent_root_takes_nothing_from_another() -> None:
    file, token = MemoryRoot("file"), MemoryRoot("token", key=b"t" * 32)
    before = keks_of(file)
    (old,) = await made(before)
    keks = keks_of(token, file)
    keks.keep(old)
    new = await keks.make(0)
    assert new.root == "token"
    keks.keep(new)
    await keks.refresh(())
    file.away = "gone"
    await keks.refresh(())
    assert keks.current() == new
    assert not keks.holds(name_of(old))


async def test_a_root_that_is_not_configured_is_named() -> None:
    (old,) = await made(keks_of(MemoryRoot("file")))
    keks = keks_of(MemoryRoot("token"))
    keks.keep(old)
    await keks.refresh(())
    with pytest.raises(KeyServiceError, match="root file is not configured here: set PLAYHEAD"):
        keks.current()


async def test_a_retired_version_is_forgotten_unless_a_key_lies_under_it() -> None:
    keks = keks_of()
    first, _ = await made(keks, 2)
    keks.keep(replace(first, retired_at_ms=1))
    await keks.refresh({first.kek_id})
    assert keks.holds(name_of(first))
    await keks.refresh(())
    assert not keks.holds(name_of(first))
    keks.keep(first)  # copied behind it by who can write to Kafka
    await keks.refresh(())
    assert not keks.holds(name_of(first))
    await keks.refresh({first.kek_id})
    assert keks.holds(name_of(first)), "late writers and old backups lose nothing"


async def test_a_record_under_another_id_is_not_taken() -> None:
    keks = keks_of()
    kek = await keks.make(0)
    for key, value in (("f" * 32, kek), (kek.kek_id, None)):
        keks.take(Record("key.encryption.keys.v1", 0, 0, key, value, 0, {}))
    assert not keks.known


async def test_a_silence_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    clock, root = MemoryClock(), MemoryRoot(grace_ms=300_000)
    keks = keks_of(root, clock=clock)
    await made(keks)
    root.away = "the token is out: put it in"
    for _ in range(3):
        clock.now_ms += 2_000
        await keks.refresh(())
    assert keks.silences_ms() == {"memory": 4_000}
    root.away = ""
    with caplog.at_level("INFO"):
        await keks.refresh(())
    assert [record.getMessage() for record in caplog.records] == [
        "licenses go on without it for 300 s: the token is out: put it in",
        "the root memory answers again",
    ]
    assert keks.silences_ms() == {"memory": 0}


async def test_trouble_is_told_once_and_without_keys(caplog: pytest.LogCaptureFixture) -> None:
    randomness = iter((b"i" * 16, b"secret-" * 4 + b"keys"))
    root = MemoryRoot()
    keks = KeyEncryptionKeys((root,), clock=MemoryClock(), randomness=lambda _: next(randomness))
    (kek,) = await made(keks)
    root.away = "the token is out: put it in"
    for _ in range(3):
        await keks.refresh(())
    told = [record.getMessage() for record in caplog.records]
    assert told == ["key-encryption key version 1 cannot be used: the token is out: put it in"]
    assert b"secret".hex() not in repr((keks, kek)) + caplog.text
    assert "secret" not in repr((keks, kek)) + caplog.text
