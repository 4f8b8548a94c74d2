"""Rotation of the key-encryption key, piece by piece: the license worker works, this asks for it.

Killed, the same command goes on: where a rotation stands is in the log alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from agents.license.key_encryption import KeyEncryptionKeys
from agents.license.keys import KeyRing
from agents.license.rotation import Standing, standing
from infra.deployment import Deployment
from infra.keys.folder import KeyFolder
from infra.operations.log_access import saying_why
from infra.operations.operator import require_keys
from infra.wiring.parts import GATEWAY_DELIVERY_TIMEOUT_MS, open_parts
from schemas.errors import PlayheadError
from schemas.licenses import KeyEncryptionKey, KeyRotation, RotateKeyEncryptionKey, WrappedKey
from streams.clock import steady_clock, system_clock
from streams.requests import Asker, NoAnswerError, RefusedError
from streams.topic import Topic
from streams.topics import CONTENT_KEYS, KEY_ENCRYPTION_KEYS, KEY_REQUESTS
from streams.view import View

PIECE_MS_MAX: Final = 10_000
SILENCES_MAX: Final = 6
"""Pieces that nobody answers, one after the other: a worker that starts again needs a minute."""
_SUBJECT: Final = "key-encryption key"


class RotationFailedError(PlayheadError):
    """It stands still; the message says what to do. What was done stays done."""


@dataclass(frozen=True, slots=True)
class KeysInLog:
    """Key-encryption keys and content keys, all of them wrapped."""

    keks: Collection[KeyEncryptionKey]
    keys: Collection[WrappedKey]

    @property
    def standing(self) -> Standing:
        """Where a rotation stands."""
        return standing(self.keks, self.keys)

    def under(self, kek: KeyEncryptionKey) -> int:
        """How many content keys lie under this one."""
        return sum(key.kek_id == kek.kek_id for key in self.keys)

    @property
    def inherited(self) -> int:
        """How many lie under `kek.json`, from before."""
        return sum(not key.kek_id for key in self.keys)


async def read_keys(deployment: Deployment) -> KeysInLog:
    """As license workers understand the two topics now; nothing is unwrapped."""
    keks = KeyEncryptionKeys((), clock=steady_clock)
    ring = KeyRing(keks)
    await _fold(deployment, KEY_ENCRYPTION_KEYS, keks.take)
    await _fold(deployment, CONTENT_KEYS, ring.take)
    return KeysInLog(tuple(keks.known), tuple(ring.all()))


async def _fold(deployment: Deployment, topic: Topic, take: Callable[[Any], None]) -> None:
    broker, keys = deployment.broker(), KeyFolder(deployment.keys)
    view: View[Any] = View(
        broker,
        topic,
        clock=system_clock,
        state_key=keys.state_key(),
        on_record=take,
        keep=False,
    )
    with saying_why(broker):
        try:
            await view.start()
        finally:
            await view.stop()


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation did from this command's start on."""

    version: int
    kek_id: str
    rewrapped: int
    retired: tuple[int, ...]
    stuck: tuple[str, ...]
    """Content keys that cannot be unwrapped; what they lie under is not retired."""


async def rotate(
    deployment: Deployment, from_kek_id: str, on_piece: Callable[[KeyRotation, int], None]
) -> Rotated:
    """Rotate, or finish what is under way; `on_piece` hears each piece and the sum so far.

    Raises RotationFailedError.
    """
    require_keys(deployment)
    with saying_why(deployment.broker()):
        async with open_parts(
            deployment,
            "playhead-operator",
            delivery_timeout_ms=GATEWAY_DELIVERY_TIMEOUT_MS,
            holds_state_key=False,
        ) as parts:
            asker = parts.asker("operator")
            await asker.start()
            try:
                return await _all_pieces(asker, from_kek_id, on_piece)
            finally:
                await asker.stop()


async def _all_pieces(
    asker: Asker, from_kek_id: str, on_piece: Callable[[KeyRotation, int], None]
) -> Rotated:
    request = RotateKeyEncryptionKey(from_kek_id=from_kek_id)
    rewrapped, retired = 0, list[int]()
    while True:
        piece = await _piece(asker, request)
        rewrapped += piece.rewrapped
        retired += piece.retired
        on_piece(piece, rewrapped)
        # Keys that cannot be unwrapped stay left: a piece that moved none was the last one.
        if not piece.left or not piece.rewrapped:
            return Rotated(
                version=piece.version,
                kek_id=piece.kek_id,
                rewrapped=rewrapped,
                retired=tuple(retired),
                stuck=piece.stuck,
            )


async def _piece(asker: Asker, request: RotateKeyEncryptionKey) -> KeyRotation:
    """One answer. Asked again where nobody answers: the same words do nothing twice."""
    for _ in range(SILENCES_MAX):
        try:
            answer: KeyRotation = await asker.ask(
                KEY_REQUESTS, _SUBJECT, request, KeyRotation, deadline_ms=PIECE_MS_MAX
            )
        except NoAnswerError:
            continue
        except RefusedError as error:
            told = error.refused.detail or error.refused.reason
            raise RotationFailedError(f"the license worker refused: {told}") from error
        else:
            return answer
    raise RotationFailedError(
        "no license worker answers: `playhead status`. Then give this command again, it goes on"
    )
