"""What is known of an account that is personal: to be looked for once it is erased."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client

from agents.account.vault import Vault
from infra.deployment import Deployment
from infra.faults.secrecy import Needle, forms
from infra.operations.log_access import read_newest
from infra.operations.operator import require_keys
from schemas.accounts import Account, DataKey
from schemas.errors import PlayheadError
from streams.records import Record
from streams.topics import ACCOUNT_KEYS, ACCOUNTS

KEY: Final = "the account's own key, wrapped"
SHORT_BYTES: Final = 6
"""A name below this stands everywhere by chance: it is looked for as a field alone."""
PROFILES: Final = """
SELECT DISTINCT profile_id FROM (
  SELECT profile_id FROM events_raw WHERE account_id = {account:String} AND profile_id != ''
  UNION ALL
  SELECT profile_id FROM sessions_raw WHERE account_id = {account:String} AND profile_id != ''
  UNION ALL
  SELECT profile_id FROM decisions_raw WHERE account_id = {account:String} AND profile_id != ''
) ORDER BY profile_id LIMIT 64
"""


class Personal(msgspec.Struct, frozen=True, kw_only=True):
    """An account, opened by its own key while that is there."""

    account_id: str
    address: str = ""
    names: tuple[str, ...] = ()
    profile_ids: tuple[str, ...] = ()
    wrapped: bytes = b""
    """Its own key as `account.keys.v1` has it."""
    is_erased: bool = False
    """It was before: what was personal is not known any more."""

    def __repr__(self) -> str:
        return f"Personal({self.account_id}, ***)"


async def read_personal(deployment: Deployment, account_id: str) -> Personal:
    """Raises PlayheadError where there is no such account."""
    accounts: dict[str, Account] = await read_newest(deployment, ACCOUNTS)
    account = accounts.get(account_id)
    if account is None:
        raise PlayheadError(f"there is no account {account_id}")
    if account.erased_at_ms is not None:
        return Personal(account_id=account_id, is_erased=True)
    keys: dict[str, DataKey] = await read_newest(deployment, ACCOUNT_KEYS)
    vault = Vault(require_keys(deployment).account_key())
    key = keys.get(account_id)
    if key is not None:
        vault.data_keys.take(Record(ACCOUNT_KEYS.name, 0, 0, account_id, key, 0, {}))
    opened = vault.open(account)
    profiles = opened.account.profiles
    return Personal(
        account_id=account_id,
        address=opened.private.email,
        names=tuple(profile.name for profile in profiles),
        profile_ids=tuple(profile.profile_id for profile in profiles),
        wrapped=key.wrapped if key is not None else b"",
    )


def stored_profiles(client: Client, account_id: str) -> tuple[str, ...]:
    """Profiles that rows name beside the account, also ones that were deleted since."""
    found = client.query(PROFILES, parameters={"account": account_id})
    return tuple(row[0] for row in found.result_rows)


def key_record(account_id: str) -> Needle:
    """How a record of the account's key begins, whatever the key; its removal has no value."""
    return Needle(KEY, f'{{"account_id":"{account_id}","wrapped":'.encode())


def needles_of(personal: Personal) -> tuple[Needle, ...]:
    """Everything personal, in each form; their names say what they are, not whose."""
    return tuple(_needles(personal))


def _needles(personal: Personal) -> Iterator[Needle]:
    for text in {personal.address, personal.address.casefold()} - {""}:
        yield from (Needle("address", form) for form in forms(text.encode()))
    for name in personal.names:
        # As JSON writes it, which is how records and rows hold texts.
        quoted = msgspec.json.encode(name)
        yield Needle("profile's name", b'"name":' + quoted)
        if len(quoted) - 2 >= SHORT_BYTES:
            yield Needle("profile's name", quoted[1:-1])
    yield key_record(personal.account_id)
    if personal.wrapped:
        yield Needle(KEY, base64.b64encode(personal.wrapped))
