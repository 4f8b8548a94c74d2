"""The identities of a running component: its files are looked at again, so that a rotation counts
without a restart."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from infra.keys.files import KeyFileError
from infra.keys.folder import KeyFolder
from schemas.envelope import Role
from streams.identity import Identity

log = logging.getLogger(__name__)
INTERVAL_S: Final = 1.0


class LiveIdentities:
    """One identity per role that was asked for; who holds it signs with its newest key."""

    def __init__(self, keys: KeyFolder) -> None:
        self._keys = keys
        self._identities: dict[Role, Identity] = {}

    def identity(self, role: Role) -> Identity:
        """The role's; always the same object."""
        if role not in self._identities:
            self._identities[role] = self._keys.identity(role)
        return self._identities[role]

    async def follow(self) -> None:
        """Look again, until canceled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            self.look()

    def look(self) -> None:
        """Take over what was rotated. A file that cannot be read changes nothing: the old key
        counts on until its tokens end, and the log says why."""
        for role, identity in self._identities.items():
            try:
                newest = self._keys.identity(role)
            except (OSError, ValueError, KeyError, KeyFileError) as error:
                log.warning("the identity of %s was not read: %s", role, type(error).__name__)
                continue
            if newest.key_id != identity.key_id:
                identity.become(newest)
                log.info("%s signs with %s now", role, newest.key_id)
