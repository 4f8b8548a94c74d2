from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from agents.account.data_keys import derived
from agents.account.vault import Vault
from schemas import codec
from schemas.accounts import CreateProfile
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from tests.unit.account.story import ACCOUNT_ID, Story

KEY = SecretBytes(b"k" * 32)


@pytest.fixture
def story() -> Story:
    story = Story()
    story.sign_up()
    story.sign_in()
    return story


def a_vault(key: SecretBytes = KEY) -> Vault:
    vault = Vault(key)
    vault.data_keys.make(ACCOUNT_ID, 0)
    return vault


def test_what_is_sealed_opens_and_shows_nothing(story: Story) -> None:
    story.tell(CreateProfile(account_id=ACCOUNT_ID, name="Countess of Lovelace"))
    assert story.state is not None
    vault = a_vault()
    account = vault.seal(story.state)
    assert vault.open(account) == story.state
    encoded = msgspec.json.encode(account)
    assert b"ada@example.org" not in encoded
    assert b"Lovelace" not in encoded
    assert b"hash:" not in account.sealed


def test_an_account_sealed_before_it_had_a_key_of_its_own_opens_and_is_sealed_anew(
    story: Story,
) -> None:
    """As earlier versions sealed: one key for all accounts, names readable."""
    assert story.state is not None
    context = f"playhead account v1\x1f{ACCOUNT_ID}\x1f{story.state.account.version}".encode()
    cipher = AESGCM(derived(KEY, b"playhead account sealing v1"))
    sealed = b"n" * 12 + cipher.encrypt(b"n" * 12, codec.encode(story.state.private), context)
    old = msgspec.structs.replace(story.state.account, sealed=sealed)
    assert Vault(KEY).open(old) == story.state
    vault = a_vault()
    assert vault.open(old) == story.state
    new = vault.seal(story.state)
    with pytest.raises(InvalidMessageError, match="sealed"):
        Vault(KEY).open(new)


@given(st.data())
def test_a_changed_byte_of_what_is_sealed_opens_nothing(data: st.DataObject) -> None:
    story = Story()
    story.sign_up()
    assert story.state is not None
    vault = a_vault()
    account = vault.seal(story.state)
    sealed = bytearray(account.sealed)
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidMessageError, match="sealed"):
        vault.open(msgspec.structs.replace(account, sealed=bytes(sealed)))


@pytest.mark.parametrize(
    "changes", [{"version": 1}, {"account_id": "another"}, {"sealed": b""}, {"sealed": b"x" * 40}]
)
def test_a_private_part_opens_for_no_other_account_version_or_key(
    story: Story, changes: dict[str, object]
) -> None:
    assert story.state is not None
    vault = a_vault()
    account = vault.seal(story.state)
    with pytest.raises(InvalidMessageError, match="sealed"):
        vault.open(msgspec.structs.replace(account, **changes))
    for other in (a_vault(), a_vault(SecretBytes(b"j" * 32))):
        with pytest.raises(InvalidMessageError, match="sealed"):
            other.open(account)


def test_a_requests_randomness_is_its_own_and_the_keys() -> None:
    vault = Vault(KEY)
    assert vault.randomness("a", "1") == Vault(KEY).randomness("a", "1")
    others = {
        vault.randomness("a", "2"),
        vault.randomness("b", "1"),
        Vault(SecretBytes(b"j" * 32)).randomness("a", "1"),
    }
    assert len(others) == 3
    assert vault.randomness("a", "1") not in others
    assert repr(vault) == "Vault(***)"
