"""The root key in a hardware token, by PKCS#11 (OASIS, v2.40; AES-GCM as in its section 2.12.3).

The root is made in the token, marked sensitive and never extractable; only what it wrapped leaves.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
from pkcs11 import exceptions as told
from pkcs11.exceptions import PinIncorrect, PKCS11Error, UserAlreadyLoggedIn

from agents.license.key_encryption import KeyServiceError, Wrapped
from infra.keys.files import KeyFileError, read_private
from schemas.secrets import SecretBytes, SecretText

T = TypeVar("T")
_NONCE_BYTES: Final = 12
_TAG_BITS: Final = 128
_ROOT_BITS: Final = 256


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """Where the root is."""

    module: str
    """The vendor's PKCS#11 library."""
    token: str
    """The token's label."""
    key: str
    """The root's label in it."""
    pin_file: Path
    """A private file: a PIN is in no setting and on no command line."""


class Pkcs11KeyProvider:
    """A `KeyProvider` on one AES-256 key of a token.

    A session belongs to one thread, and a device may take its time: all calls go to a thread of
    their own, one after the other. What was unwrapped counts for five minutes without the token:
    so long may one be exchanged or a network between be mended.
    """

    grace_ms = 300_000

    def __init__(self, place: TokenPlace) -> None:
        self._place = place
        self.root = f"pkcs11:{place.token}/{place.key}"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pkcs11")
        self._session: pkcs11.Session | None = None
        self._refused_pin: SecretText | None = None

    def __repr__(self) -> str:
        return f"Pkcs11KeyProvider({self.root})"

    async def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """Nonce and ciphertext; raises KeyServiceError."""
        return await self._in_thread(lambda: self._wrapped(key, context))

    async def unwrap(self, keys: Sequence[Wrapped]) -> Sequence[SecretBytes | KeyServiceError]:
        """Each key, or that the token does not open it; raises KeyServiceError."""
        return await self._in_thread(lambda: self._opened(keys))

    async def make_root(self) -> None:
        """Make the root in the token. Raises KeyServiceError, also where there is one."""
        await self._in_thread(self._make_root)

    async def close(self) -> None:
        """End the session with the token."""
        await self._in_thread(self._drop_session)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._saying(call))

    def _saying(self, call: Callable[[], T]) -> Callable[[], T]:
        """What the token says, as an error that says the mend; after one the session is new."""

        def say() -> T:
            try:
                return call()
            except PKCS11Error as error:
                self._drop_session()
                raise KeyServiceError(f"{self.root}: {_mend(error, self._place)}") from error

        return say

    # -- in the thread ----------------------------------------------------------------------------

    def _wrapped(self, key: SecretBytes, context: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed: bytes = self._root_key().encrypt(key.reveal(), **_gcm(nonce, context))
        return nonce + sealed

    def _opened(self, keys: Sequence[Wrapped]) -> list[SecretBytes | KeyServiceError]:
        answers = self._decrypted_all(keys)
        if any(isinstance(answer, KeyServiceError) for answer in answers):
            # Some tokens say the same of a lost session as of a wrong tag: a new one tells.
            self._drop_session()
            answers = self._decrypted_all(keys)
        return answers

    def _decrypted_all(self, keys: Sequence[Wrapped]) -> list[SecretBytes | KeyServiceError]:
        root = self._root_key()
        return [self._decrypted(root, key) for key in keys]

    def _decrypted(self, root: Any, key: Wrapped) -> SecretBytes | KeyServiceError:
        nonce, sealed = key.wrapped[:_NONCE_BYTES], key.wrapped[_NONCE_BYTES:]
        try:
            return SecretBytes(root.decrypt(sealed, **_gcm(nonce, key.context)))
        except PKCS11Error as error:
            return KeyServiceError(
                f"{self.root} does not open it ({type(error).__name__}): another root wrapped it?"
            )

    def _root_key(self) -> Any:
        if self._session is not None:
            try:
                return self._found(self._session)
            except PKCS11Error:
                self._drop_session()  # lost, or the token was exchanged: a new one tells
        self._session = self._log_in(rw=False)
        return self._found(self._session)

    def _found(self, session: pkcs11.Session) -> Any:
        return session.get_key(
            object_class=ObjectClass.SECRET_KEY, key_type=KeyType.AES, label=self._place.key
        )

    def _make_root(self) -> None:
        with self._log_in(rw=True) as session:
            same = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: self._place.key}
            if any(True for _ in session.get_objects(same)):
                raise KeyServiceError(f"{self.root} is there already, and is never made anew")
            session.generate_key(
                KeyType.AES,
                _ROOT_BITS,
                label=self._place.key,
                store=True,
                template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )

    def _log_in(self, *, rw: bool) -> pkcs11.Session:
        """A PIN that was refused is not tried again: a token locks itself after a few."""
        pin = self._pin()
        if pin == self._refused_pin:
            raise KeyServiceError(f"{self.root}: the PIN in {self._place.pin_file} was refused")
        token: pkcs11.Token = _library(self._place.module).get_token(token_label=self._place.token)
        try:
            return token.open(rw=rw, user_pin=pin.text())
        except UserAlreadyLoggedIn:  # this process is, by another session
            return token.open(rw=rw)
        except PinIncorrect:
            self._refused_pin = pin
            raise

    def _pin(self) -> SecretText:
        try:
            content = read_private(self._place.pin_file)
        except KeyFileError as error:
            raise KeyServiceError(str(error)) from error
        return SecretText(content.decode(errors="replace").strip("\r\n"))

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except PKCS11Error:
                return  # it was lost already


def _gcm(nonce: bytes, context: bytes) -> dict[str, Any]:
    return {
        "mechanism": Mechanism.AES_GCM,
        "mechanism_param": GCMParams(nonce, context, _TAG_BITS),
    }


def _library(module: str) -> Any:
    try:
        return pkcs11.lib(module)
    except PKCS11Error as error:
        raise KeyServiceError(f"PLAYHEAD_PKCS11_MODULE: {error}") from error


def _mend(error: PKCS11Error, place: TokenPlace) -> str:
    """What to do about it, in one line without secrets."""
    mends: dict[type[PKCS11Error], str] = {
        told.PinIncorrect: f"the token refuses the PIN in {place.pin_file}: correct it",
        told.PinLocked: "the token has locked its PIN: its security officer sets another",
        told.NoSuchToken: f"{place.module} has no token {place.token}: PLAYHEAD_PKCS11_TOKEN",
        told.NoSuchKey: f"the token has no AES key {place.key}: `playhead keys make root`",
        told.MultipleObjectsReturned: f"the token has several keys {place.key}: keep one",
        told.MechanismInvalid: f"the token's key {place.key} does no AES-GCM: use another",
    }
    return mends.get(type(error), f"the token answers {type(error).__name__}; it is asked again")
