"""The way out for mail: one private file per message in a folder, for the operator's mailer.

Playhead sends no mail itself. A mailer takes each file (JSON: kind, email, token, expires_at_ms),
sends it and deletes it; what nobody took is deleted when it has expired. Kinds: `password_reset`,
and `sign_up_repeated` (without a token): somebody wanted an account where there is one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import msgspec

from agents.account.outcome import ResetMail, SignUpMail
from schemas import codec
from schemas.errors import InvalidMessageError

MESSAGES_MAX = 10_000


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the outbox."""

    kind: str
    email: str
    token: str
    expires_at_ms: int

    def __repr__(self) -> str:
        return f"Message({self.kind}, ***)"


_messages: codec.Decoder[Message] = codec.Decoder(Message)


class Mail(Protocol):
    """Whoever brings messages to their address."""

    def deliver(self, name: str, mail: ResetMail | SignUpMail, now_ms: int) -> None:
        """Hand it over; the same name twice is the same message. Raises OSError."""


class Outbox:
    """The folder; made 0700, its files 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(self, name: str, mail: ResetMail | SignUpMail, now_ms: int) -> None:
        """Write the message whole or not at all; raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._drop_expired(now_ms) >= MESSAGES_MAX:
            raise OSError(f"{self._folder} is full: no mailer takes its messages")
        message = Message(
            kind="password_reset" if isinstance(mail, ResetMail) else "sign_up_repeated",
            email=mail.email,
            token=mail.token.text() if isinstance(mail, ResetMail) else "",
            expires_at_ms=mail.expires_at_ms,
        )
        temporary = self._folder / f".{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(codec.encode(message))
        temporary.rename(self._folder / f"{name}.json")

    def _drop_expired(self, now_ms: int) -> int:
        """How many messages still wait after the expired ones are gone."""
        waiting = 0
        for path in self._folder.glob("*.json"):
            try:
                expires_at_ms = _messages.decode(path.read_bytes()).expires_at_ms
            except (OSError, InvalidMessageError):
                continue  # taken just now, or not ours
            if expires_at_ms <= now_ms:
                path.unlink(missing_ok=True)
            else:
                waiting += 1
        return waiting
