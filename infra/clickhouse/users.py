"""Who may ask: a table of users, checked before anything of a request is run."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from infra.clickhouse.errors import EngineError

READER: Final = "default"


class UserEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user as the users file has it. `readonly` is ClickHouse's: 0 writes, 1 reads, 2 reads and
    sets settings.
    """

    name: str
    password: str = ""
    readonly: int = 2


class UsersFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The users file as a whole."""

    users: tuple[UserEntry, ...]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user in this process, which keeps no password, only its digest."""

    name: str
    password_sha256: bytes
    readonly: int


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of who asks."""

    name: str
    password: str


def default_reader() -> UserEntry:
    """Reading needs no password: the process listens on loopback and refuses web pages."""
    return UserEntry(name=READER, password="", readonly=2)


def load_users(path: Path) -> dict[str, User]:
    """Reads the users file. Raises ValueError where others can read it, or where it is not a users
    file.

    A file that does not name `default` gets it as a reader without a password.
    """
    mode = path.stat().st_mode
    if stat.S_IMODE(mode) & 0o077:
        raise ValueError(f"{path} must be readable by its owner alone (chmod 600)")
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=UsersFile).users
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is not a users file: {error}") from error
    named = {entry.name: entry for entry in (default_reader(), *entries)}
    for entry in named.values():
        if entry.readonly not in (0, 1, 2):
            raise ValueError(f"{path}: readonly of {entry.name} must be 0, 1 or 2")
        if entry.readonly == 0 and not entry.password:
            raise ValueError(f"{path}: {entry.name} may write and so needs a password")
    return {name: _without_password(entry) for name, entry in named.items()}


def _without_password(entry: UserEntry) -> User:
    digest = hashlib.sha256(entry.password.encode()).digest()
    return User(name=entry.name, password_sha256=digest, readonly=entry.readonly)


def credentials(headers: Mapping[str, str], parameters: Mapping[str, str]) -> Credentials:
    """The credentials of a request, from where ClickHouse looks for them: own headers, Basic, then
    the URL.
    """
    authorization = headers.get("Authorization", "")
    if "X-ClickHouse-User" in headers:
        return Credentials(
            name=headers["X-ClickHouse-User"], password=headers.get("X-ClickHouse-Key", "")
        )
    if authorization.startswith("Basic "):
        return _basic(authorization.removeprefix("Basic "))
    if authorization:
        raise _refused(READER, "only the Basic scheme is supported")
    return Credentials(
        name=parameters.get("user") or READER, password=parameters.get("password", "")
    )


def _basic(encoded: str) -> Credentials:
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _refused(READER, "the Authorization header is not base64") from error
    return Credentials(name=name or READER, password=password)


def authenticate(users: Mapping[str, User], given: Credentials) -> User:
    """The user whose password was given. Raises EngineError 516, the same for an unknown name and a
    wrong password.
    """
    digest = hashlib.sha256(given.password.encode("utf-8", "surrogateescape")).digest()
    user = users.get(given.name)
    known = user.password_sha256 if user is not None else bytes(32)
    if not hmac.compare_digest(known, digest) or user is None:
        raise _refused(given.name, "password is incorrect, or there is no user with such name")
    return user


def _refused(name: str, reason: str) -> EngineError:
    return EngineError(516, f"{name}: Authentication failed: {reason}", "AUTHENTICATION_FAILED")
