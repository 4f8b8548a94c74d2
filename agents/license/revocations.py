"""What is revoked now, and which sessions that ends."""

from __future__ import annotations

from collections import defaultdict

from schemas.revocations import Revocation, RevokedKind, revocation_key
from schemas.sessions import Device, Session
from streams.records import Record


class Revocations:
    """The newest word on each subject of `revocations.v1`."""

    def __init__(self) -> None:
        self._subjects: defaultdict[RevokedKind, dict[str, Revocation]] = defaultdict(dict)

    def __len__(self) -> int:
        return sum(map(len, self._subjects.values()))

    def take(self, record: Record[Revocation | None]) -> None:
        """A record of the topic; None lifts it."""
        revocation = record.value
        if revocation is None:
            for kind, subjects in self._subjects.items():
                subjects.pop(record.key.removeprefix(f"{kind}:"), None)
        elif revocation_key(revocation.kind, revocation.subject) == record.key:
            self.add(revocation)

    def add(self, revocation: Revocation) -> None:
        """It counts from now on."""
        self._subjects[revocation.kind][revocation.subject] = revocation

    def has(self, kind: RevokedKind, subject: str) -> bool:
        """Whether it is revoked."""
        return subject in self._subjects[kind]

    def has_key(self, key_id: str) -> bool:
        """Whether nobody gets the content key."""
        return self.has("key", key_id)

    def of_viewer(self, account_id: str, device: Device) -> RevokedKind | None:
        """Why nobody may play for this account on this device."""
        subjects: tuple[tuple[RevokedKind, str], ...] = (
            ("account", account_id),
            ("device", device.device_id),
            ("model", device.model),
        )
        return next((kind for kind, subject in subjects if self.has(kind, subject)), None)

    def of_session(self, session: Session) -> RevokedKind | None:
        """Why the session may not go on."""
        if self.has("session", session.session_id):
            return "session"
        return self.of_viewer(session.account_id, session.device)
