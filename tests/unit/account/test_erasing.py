"""An account that was erased: nothing of it is kept, and its address may begin anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.account.accounts import Accounts
from agents.account.data_keys import DataKeys
from agents.account.vault import Vault
from schemas import codec
from schemas.accounts import (
    Account,
    AccountView,
    CreateProfile,
    DataKey,
    Done,
    EraseAccount,
    RequestPasswordReset,
)
from schemas.envelope import Refused
from schemas.errors import InvalidMessageError
from schemas.secrets import SecretBytes
from streams.records import Record
from tests.unit.account.story import ACCOUNT_ID, Story, token_of

KEY = SecretBytes(b"k" * 32)
ERASE = EraseAccount(account_id=ACCOUNT_ID)


@pytest.fixture
def story() -> Story:
    story = Story()
    story.sign_up()
    story.sign_in()
    story.tell(CreateProfile(account_id=ACCOUNT_ID, name="Countess of Lovelace"))
    return story


def a_vault() -> Vault:
    vault = Vault(KEY)
    vault.data_keys.make(ACCOUNT_ID, 0)
    return vault


def of_log(value: Account | None) -> Record[Account | None]:
    return Record("accounts.v1", 0, 0, ACCOUNT_ID, value, 0, {})


def key_of_log(value: DataKey | None) -> Record[DataKey | None]:
    return Record("account.keys.v1", 0, 0, ACCOUNT_ID, value, 0, {})


def test_nothing_personal_is_left(story: Story) -> None:
    assert story.state is not None
    version = story.state.account.version
    outcome = story.tell(ERASE)
    assert outcome.answer == Done()
    assert outcome.destroys_key
    assert story.facts_told[-1] == "account_erased"
    left = a_vault().seal(story.state)
    assert (left.is_closed, left.version, left.sealed, left.profiles) == (
        True,
        version + 1,
        b"",
        (),
    )
    for personal in (b"ada@example.org", b"Lovelace"):
        assert personal not in codec.encode(left)
        assert personal not in codec.encode(outcome.events)


def test_asked_again_it_only_destroys_the_key_again(story: Story) -> None:
    story.state = None
    outcome = story.tell(ERASE)
    assert (outcome.answer, outcome.state, outcome.events) == (Done(), None, ())
    assert outcome.destroys_key


def test_without_the_key_no_copy_opens(story: Story) -> None:
    assert story.state is not None
    vault = a_vault()
    copy = vault.seal(story.state)
    assert vault.open(copy) == story.state
    vault.data_keys.take(key_of_log(None))
    with pytest.raises(InvalidMessageError, match="sealed"):
        vault.open(copy)
    vault.data_keys.make(ACCOUNT_ID, 1)
    with pytest.raises(InvalidMessageError, match="sealed"):
        vault.open(copy)


def test_its_tokens_and_its_password_are_those_of_nobody(story: Story) -> None:
    token = token_of(story.sign_in())
    story.tell(ERASE)
    accounts = Accounts(a_vault())
    assert story.state is not None
    accounts.take(of_log(accounts.store(story.state)))
    story.state = accounts.load(ACCOUNT_ID)
    assert story.state is None
    for outcome in (story.sign_in(), story.refresh(token)):
        assert isinstance(outcome.answer, Refused)
        assert outcome.answer.reason == "invalid-grant"
    reset = story.tell(RequestPasswordReset(account_id=ACCOUNT_ID, sealed=b""))
    assert (reset.answer, reset.mail) == (Done(), None)


def test_the_same_address_begins_anew_above_the_old_version(story: Story) -> None:
    """Else the new account would be taken for an older record of the erased one."""
    story.tell(ERASE)
    assert story.state is not None
    accounts = Accounts(a_vault())
    erased = accounts.store(story.state)
    assert accounts.erased_version(ACCOUNT_ID) == erased.version
    story.state = None
    story.erased_version = erased.version
    outcome = story.sign_up()
    assert isinstance(outcome.answer, AccountView)
    assert outcome.answer.version == erased.version + 1
    assert outcome.answer.profiles == ()
    assert outcome.state is not None
    accounts.store(outcome.state)
    assert accounts.load(ACCOUNT_ID) == outcome.state
    assert accounts.erased_version(ACCOUNT_ID) == 0


def test_keys_are_wrapped_to_their_account_and_unprintable() -> None:
    keys = DataKeys(KEY)
    made = keys.make(ACCOUNT_ID, 0)
    assert keys.unwrap(ACCOUNT_ID).reveal() not in codec.encode(made)
    other = DataKeys(KEY)
    other.take(
        Record("account.keys.v1", 0, 0, "another", replace(made, account_id="another"), 0, {})
    )
    with pytest.raises(InvalidMessageError, match="sealed"):
        other.unwrap("another")
    other.take(Record("account.keys.v1", 0, 0, "another", made, 0, {}))
    with pytest.raises(InvalidMessageError, match="sealed"):
        other.unwrap("another")
    assert repr(keys) == "DataKeys(***)"


def test_an_echo_of_what_was_replaced_since_changes_nothing() -> None:
    """Erased and signed up again at once: the view shows the tombstone after the new key."""
    keys = DataKeys(KEY)
    keys.make(ACCOUNT_ID, 0)
    keys.forget(ACCOUNT_ID)
    keys.published(ACCOUNT_ID, 7)
    new = keys.make(ACCOUNT_ID, 1)
    keys.published(ACCOUNT_ID, 8)
    expected = keys.unwrap(ACCOUNT_ID).reveal()
    keys.take(Record("account.keys.v1", 0, 7, ACCOUNT_ID, None, 0, {}))
    assert keys.unwrap(ACCOUNT_ID).reveal() == expected
    keys.take(Record("account.keys.v1", 0, 8, ACCOUNT_ID, new, 0, {}))
    assert keys.unwrap(ACCOUNT_ID).reveal() == expected
    keys.take(Record("account.keys.v1", 0, 9, ACCOUNT_ID, None, 0, {}))
    assert ACCOUNT_ID not in keys


@given(st.data())
def test_a_changed_byte_of_a_wrapped_key_opens_nothing(data: st.DataObject) -> None:
    keys = DataKeys(KEY)
    made = keys.make(ACCOUNT_ID, 0)
    wrapped = bytearray(made.wrapped)
    wrapped[data.draw(st.integers(0, len(wrapped) - 1))] ^= data.draw(st.integers(1, 255))
    keys.take(key_of_log(replace(made, wrapped=bytes(wrapped))))
    with pytest.raises(InvalidMessageError, match="sealed"):
        keys.unwrap(ACCOUNT_ID)
