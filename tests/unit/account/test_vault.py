from __future__ import annotations

import msgspec
import pytest

from agents.account.vault import Vault
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from tests.unit.account.story import Story

KEY = SecretBytes(b"k" * 32)


@pytest.fixture
def story() -> Story:
    story = Story()
    story.sign_up()
    story.sign_in()
    return story


def test_what_is_sealed_opens_and_shows_nothing(story: Story) -> None:
    assert story.state is not None
    account = Vault(KEY).seal(story.state)
    assert Vault(KEY).open(account) == story.state
    encoded = msgspec.json.encode(account)
    assert b"ada@example.org" not in encoded
    assert b"hash:" not in account.sealed


@pytest.mark.parametrize(
    "changes", [{"version": 1}, {"account_id": "another"}, {"sealed": b""}, {"sealed": b"x" * 40}]
)
def test_a_private_part_opens_for_no_other_account_version_or_key(
    story: Story, changes: dict[str, object]
) -> None:
    assert story.state is not None
    account = Vault(KEY).seal(story.state)
    with pytest.raises(InvalidMessageError, match="sealed"):
        Vault(KEY).open(msgspec.structs.replace(account, **changes))
    with pytest.raises(InvalidMessageError, match="sealed"):
        Vault(SecretBytes(b"j" * 32)).open(account)


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
