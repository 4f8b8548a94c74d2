"""Rotation of signing keys: everybody knows the next key before anybody signs with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from infra.deployment import Deployment
from infra.keys.live import INTERVAL_S
from infra.keys.signing_keys import SIGNED_MS_MAX
from infra.operations.log_access import saying_why
from infra.operations.operator import require_keys
from schemas.envelope import Role
from streams.clock import system_clock
from streams.identity import enroll
from streams.producer import Publisher
from streams.topics import SIGNING_KEYS

SETTLE_S: Final = 10.0
"""Everybody follows the enrollments and looks twice a second; a component that has not looked for
this long answers nothing anyway."""
_DELIVERY_TIMEOUT_MS: Final = 15_000


class RotatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """One role's keys, before and after."""

    role: Role
    old_key_id: str
    new_key_id: str
    old_ends_at_ms: int


async def rotate_signing_keys(
    deployment: Deployment, roles: Sequence[Role], *, settle_s: float, at_once: bool
) -> list[RotatedKey]:
    """Rotate; one that was cut short is ended. Raises LogUnreachableError, KeyFileError."""
    keys = require_keys(deployment)
    signing_keys, root = keys.signing_keys(), keys.root()
    broker = deployment.broker()
    publisher = Publisher(
        broker, client_id="playhead-operator", delivery_timeout_ms=_DELIVERY_TIMEOUT_MS
    )
    with saying_why(broker):
        await publisher.start()
    try:
        nexts = {role: signing_keys.prepare(role) for role in roles}
        for identity in nexts.values():
            enrollment = enroll(root, identity, system_clock())
            await publisher.publish(SIGNING_KEYS, enrollment.key_id, enrollment)
        await asyncio.sleep(settle_s)
        rotated = []
        for role, identity in nexts.items():
            old, now_ms = keys.identity(role), system_clock()
            signing_keys.retire(role, now_ms, at_once=at_once)
            ends_at_ms = now_ms if at_once else now_ms + SIGNED_MS_MAX[role]
            rotated.append(
                RotatedKey(
                    role=role,
                    old_key_id=old.key_id,
                    new_key_id=identity.key_id,
                    old_ends_at_ms=ends_at_ms,
                )
            )
        # Whoever signs has looked at its file by then: the old keys may get their end.
        await asyncio.sleep(2 * INTERVAL_S)
        for enrollment in keys.enrollments(system_clock()):
            await publisher.publish(SIGNING_KEYS, enrollment.key_id, enrollment)
    finally:
        await publisher.stop()
    return rotated
