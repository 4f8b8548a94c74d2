"""The root key in a token, on SoftHSM2."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pkcs11
import pytest
from pkcs11 import Attribute, KeyType

from agents.license.key_encryption import KeyEncryptionKeys, KeyServiceError, Wrapped
from infra.keys.file_root import FileKeyProvider
from infra.keys.files import write_private
from infra.keys.pkcs11_root import Pkcs11KeyProvider, TokenPlace
from infra.keys.providers import key_providers, token_root
from infra.settings import Settings, SettingsError
from schemas.secrets import SecretBytes
from tests.gateway_fakes import MemoryClock
from tests.unit.keys.softhsm import PIN, TOKEN, a_token

KEK = SecretBytes(bytes(range(32)))
CONTEXT = b"playhead key-encryption key v1"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with a_token(tmp_path_factory.mktemp("softhsm")) as path:
        yield path


@pytest.fixture
def place(module: str, tmp_path: Path) -> TokenPlace:
    write_private(tmp_path / "pin", f"{PIN}\n".encode())
    return TokenPlace(module=module, token=TOKEN, key=tmp_path.name, pin_file=tmp_path / "pin")


@pytest.fixture
async def root(place: TokenPlace) -> AsyncIterator[Pkcs11KeyProvider]:
    """With a root of its own."""
    provider = Pkcs11KeyProvider(place)
    await provider.make_root()
    yield provider
    await provider.close()


async def opened(root: Pkcs11KeyProvider, wrapped: bytes, context: bytes = CONTEXT) -> SecretBytes:
    (answer,) = await root.unwrap([Wrapped(wrapped, context)])
    if isinstance(answer, KeyServiceError):
        raise answer
    return answer


async def test_what_the_root_wrapped_it_opens(root: Pkcs11KeyProvider) -> None:
    wrapped = await root.wrap(KEK, CONTEXT)
    assert KEK.reveal() not in wrapped
    assert await root.wrap(KEK, CONTEXT) != wrapped, "a nonce is used once"
    assert await opened(root, wrapped) == KEK


async def test_every_byte_of_it_and_of_its_binding_counts(root: Pkcs11KeyProvider) -> None:
    wrapped = await root.wrap(KEK, CONTEXT)
    for place in range(len(wrapped)):
        flipped = bytearray(wrapped)
        flipped[place] ^= 1
        with pytest.raises(KeyServiceError, match="does not open it"):
            await opened(root, bytes(flipped))
    for place in range(len(CONTEXT)):
        other = bytearray(CONTEXT)
        other[place] ^= 1
        with pytest.raises(KeyServiceError, match="does not open it"):
            await opened(root, wrapped, bytes(other))
    for length in (0, 12, 28, len(wrapped) - 1):
        with pytest.raises(KeyServiceError):
            await opened(root, wrapped[:length])
    assert await opened(root, wrapped) == KEK, "a damaged one takes nothing from the others"


async def test_many_are_opened_in_one_go_and_a_damaged_one_is_told(root: Pkcs11KeyProvider) -> None:
    good = Wrapped(await root.wrap(KEK, CONTEXT), CONTEXT)
    answers = await root.unwrap([good, Wrapped(bytes(60), CONTEXT), good])
    assert [isinstance(answer, KeyServiceError) for answer in answers] == [False, True, False]


async def test_the_root_never_leaves_the_token(root: Pkcs11KeyProvider, place: TokenPlace) -> None:
    token = pkcs11.lib(place.module).get_token(token_label=TOKEN)
    await root.wrap(KEK, CONTEXT)
    with token.open() as session:  # this process has logged in
        key = session.get_key(label=place.key, key_type=KeyType.AES)
        for attribute, said in (
            (Attribute.SENSITIVE, True),
            (Attribute.EXTRACTABLE, False),
            (Attribute.NEVER_EXTRACTABLE, True),
            (Attribute.LOCAL, True),
            (Attribute.VALUE_LEN, 32),
        ):
            assert key[attribute] == said
        with pytest.raises(pkcs11.AttributeSensitive):
            key[Attribute.VALUE]


async def test_a_root_is_never_made_anew(root: Pkcs11KeyProvider) -> None:
    wrapped = await root.wrap(KEK, CONTEXT)
    with pytest.raises(KeyServiceError, match="is there already"):
        await root.make_root()
    assert await opened(root, wrapped) == KEK


async def test_another_root_opens_nothing(root: Pkcs11KeyProvider, place: TokenPlace) -> None:
    other = Pkcs11KeyProvider(replace(place, key=f"{place.key} other"))
    await other.make_root()
    with pytest.raises(KeyServiceError, match="another root"):
        await opened(other, await root.wrap(KEK, CONTEXT))
    await other.close()


@pytest.fixture
def open_pin_file(tmp_path: Path) -> Path:
    (tmp_path / "open").write_text(PIN)
    (tmp_path / "open").chmod(0o640)
    return tmp_path / "open"


async def test_what_is_wrong_is_said_with_its_mend(
    place: TokenPlace, tmp_path: Path, open_pin_file: Path
) -> None:
    for wrong, mend in (
        (place, "playhead keys make root"),
        (replace(place, token="other"), "PLAYHEAD_PKCS11_TOKEN"),
        (replace(place, module="/no/such.so"), "PLAYHEAD_PKCS11_MODULE"),
        (replace(place, pin_file=tmp_path / "none"), "cannot be read"),
        (replace(place, pin_file=open_pin_file), "chmod 600"),
    ):
        provider = Pkcs11KeyProvider(wrong)
        with pytest.raises(KeyServiceError, match=mend) as refused:
            await provider.wrap(KEK, CONTEXT)
        assert PIN not in str(refused.value)
        await provider.close()


async def test_a_wrong_pin_is_tried_once_until_it_is_another(
    place: TokenPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token locks itself after a few tries; roots are asked every two seconds."""
    write_private(place.pin_file, b"another pin")
    provider = Pkcs11KeyProvider(place)
    with pytest.raises(KeyServiceError, match="refuses the PIN"):
        await provider.make_root()
    for _ in range(20):
        with pytest.raises(KeyServiceError, match="was refused") as refused:
            await provider.wrap(KEK, CONTEXT)
        assert "another pin" not in str(refused.value) + repr(provider.__dict__)
    write_private(place.pin_file, PIN.encode())
    await provider.make_root()
    assert await opened(provider, await provider.wrap(KEK, CONTEXT)) == KEK
    await provider.close()


@pytest.mark.filterwarnings("ignore:Exception ignored in.*OperationContext")  # of the library
async def test_a_session_that_was_lost_is_opened_anew(root: Pkcs11KeyProvider) -> None:
    wrapped = await root.wrap(KEK, CONTEXT)
    assert root._session is not None
    root._session.close()
    assert await opened(root, wrapped) == KEK


async def test_a_deployment_moves_from_a_file_into_a_token(
    root: Pkcs11KeyProvider, tmp_path: Path
) -> None:
    """New versions lie under the token, those of before are still opened by the file."""
    write_private(tmp_path / "kek-root.key", bytes(32))
    file = FileKeyProvider(tmp_path / "kek-root.key")
    before = KeyEncryptionKeys((file,), clock=MemoryClock())
    old = await before.make(0)
    keks = KeyEncryptionKeys((root, file), clock=MemoryClock())
    keks.keep(old)
    new = await keks.make(0)
    keks.keep(new)
    await keks.refresh(())
    assert (old.root, new.root, new.version) == ("file", root.root, 2)
    assert keks.current() == new
    assert all(keks.holds((kek.kek_id, kek.version)) for kek in (old, new))


def test_settings_name_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "kek-root.key"
    assert [p.root for p in key_providers(Settings(), file)] == ["file"]
    with pytest.raises(SettingsError, match="PLAYHEAD_PKCS11_MODULE, PLAYHEAD_PKCS11_TOKEN"):
        key_providers(Settings(key_provider="pkcs11"), file)
    whole = Settings(
        key_provider="pkcs11", pkcs11_module="/m.so", pkcs11_token="t", pkcs11_pin_file="/pin"
    )
    assert token_root(whole).root == "pkcs11:t/playhead-root"
    assert [p.root for p in key_providers(whole, file)] == ["pkcs11:t/playhead-root"]
    write_private(file, bytes(32))
    assert [p.root for p in key_providers(whole, file)] == ["pkcs11:t/playhead-root", "file"]
    back = msgspec.structs.replace(whole, key_provider="file")
    assert [p.root for p in key_providers(back, file)] == ["file", "pkcs11:t/playhead-root"]
