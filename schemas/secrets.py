"""Secrets that cannot be printed, encoded or compared by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn


class SecretBytes:
    """Key material: shows as ***, refuses JSON and pickle, compares in constant time."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes themselves; call it only where they are used."""
        return self._value

    def __repr__(self) -> str:
        return "SecretBytes(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a hash would leak into sets and caches

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class SecretText(SecretBytes):
    """A password or token as text; `text()` gives it."""

    __slots__ = ()

    def __init__(self, value: str) -> None:
        super().__init__(value.encode())

    def text(self) -> str:
        """The text itself; call it only where it is used."""
        return self.reveal().decode()
