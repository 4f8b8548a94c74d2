"""Answers packagers (a content's keys, made where they are missing, the same ever after) and the
operator who rotates what wraps them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, assert_never

import msgspec

from agents.license.contract import ContractError, tiers_of
from agents.license.key_delivery import (
    CertificateError,
    PackagerTrust,
    Recipient,
    encrypt_keys,
)
from agents.license.key_encryption import KeyServiceError
from agents.license.keys import KeyIdTakenError, KeyRing
from agents.license.rotation import Rotator
from agents.shell import ShellPorts, Work
from schemas import codec
from schemas.catalog import ContentId, Tier
from schemas.envelope import Refused, Request, Role
from schemas.errors import InvalidMessageError, RetryableError
from schemas.licenses import ContentKeys, RequestContentKeys, RotateKeyEncryptionKey
from schemas.packaging import KeyRequest, KeysDelivered, RequestPackagerKeys
from streams.records import Record
from streams.replies import Asked, Desk
from streams.topics import CONTENT_KEYS, KEY_DELIVERIES

log = logging.getLogger(__name__)
ASKERS: Final[Mapping[type[KeyRequest], frozenset[Role]]] = {
    RequestContentKeys: frozenset({"packager"}),
    RequestPackagerKeys: frozenset({"packager", "gateway"}),
    RotateKeyEncryptionKey: frozenset({"operator"}),
}
"""Only a packager gets keys in clear. A gateway asks for packagers outside, and gets what only they
can read."""
_requests: Final[codec.Decoder[KeyRequest]] = codec.Decoder(KeyRequest)


class KeyDesk:
    """Takes `key.requests.v1`. A key is acknowledged in the log, wrapped, before it is given, and
    so is to whom; one request at a time, because all of them write what wraps or is wrapped."""

    def __init__(
        self,
        ports: ShellPorts,
        desk: Desk,
        keys: KeyRing,
        rotator: Rotator,
        trust: PackagerTrust,
    ) -> None:
        self._ports = ports
        self._desk = desk
        self._keys = keys
        self._rotator = rotator
        self._trust = trust
        self._one_at_a_time = asyncio.Lock()

    def handle(self, record: Record[Request]) -> Work | None:
        """Raises InvalidMessageError for what nobody entitled signed or nobody can read."""
        asked = self._desk.open(record, frozenset().union(*ASKERS.values()))
        if asked is None:
            return None
        request = _requests.decode(asked.body)
        if asked.role not in ASKERS[type(request)]:
            raise InvalidMessageError("forged", f"no {asked.role} may ask this")
        if not isinstance(request, RotateKeyEncryptionKey) and request.content_id != record.key:
            raise InvalidMessageError("key", "the request is for another content than its key")
        return self._serve(asked, request)

    async def _serve(self, asked: Asked, request: KeyRequest) -> None:
        async with self._one_at_a_time:
            answer = await self._answer(asked, request)
        try:
            await self._desk.reply(asked, answer)
        except RetryableError as error:
            log.warning("a packager's answer was not delivered: %s", error)

    async def _answer(self, asked: Asked, request: KeyRequest) -> msgspec.Struct:
        try:
            match request:
                case RotateKeyEncryptionKey():
                    return await self._rotator.step(
                        request, lambda: self._desk.is_late(asked.request)
                    )
                case RequestPackagerKeys():
                    return await self._deliver(asked, request)
                case RequestContentKeys():
                    plain = await self._keys_of(request.content_id, request.tiers)
                    await self._record(asked, plain)
                    return plain
                case _:
                    assert_never(request)
        except KeyServiceError as error:
            log.error("the key service failed: %s", error)  # noqa: TRY400 - no trace near keys
            told = str(error) if asked.role == "operator" else ""
            return Refused(status=503, reason="key-service", detail=told)

    async def _deliver(self, asked: Asked, request: RequestPackagerKeys) -> msgspec.Struct:
        """Nothing is made for a request that is refused."""
        try:
            tiers = tiers_of(request.keys)
            recipients = self._trust.recipients(request.certificates, self._ports.clock())
            key_ids = {tier: key.key_id for tier, key in zip(tiers, request.keys, strict=True)}
            plain = await self._keys_of(request.content_id, tiers, key_ids)
        except ContractError as error:
            return error.refused
        except CertificateError as error:
            return Refused(status=422, reason="certificate", detail=str(error))
        except KeyIdTakenError as error:
            return Refused(status=409, reason="key-id", detail=str(error))
        await self._record(asked, plain, recipients, request.sender)
        return encrypt_keys(plain, recipients, secrets.token_bytes) if recipients else plain

    async def _record(
        self,
        asked: Asked,
        plain: ContentKeys,
        recipients: tuple[Recipient, ...] = (),
        sender: str = "",
    ) -> None:
        """Acknowledged by the log before a key leaves: who got keys can be asked for ever after."""
        delivered = KeysDelivered(
            request_id=asked.request_id,
            content_id=plain.content_id,
            key_ids=tuple(key.key_id for key in plain.keys),
            tiers=tuple(key.tier for key in plain.keys),
            asker=asked.request.sender,
            asker_role=asked.role,
            sender=sender,
            certificates=tuple(sha256(each.certificate).hexdigest() for each in recipients),
            at_ms=self._ports.clock(),
        )
        await self._ports.publisher.publish(KEY_DELIVERIES, plain.content_id, delivered)

    async def _keys_of(
        self,
        content_id: ContentId,
        tiers: tuple[Tier, ...],
        key_ids: Mapping[Tier, str] | None = None,
    ) -> ContentKeys:
        await self._rotator.ensure()
        made = self._keys.make_missing(
            content_id,
            tiers,
            now_ms=self._ports.clock(),
            randomness=secrets.token_bytes,
            key_ids=key_ids,
        )
        for key in made:
            await self._ports.publisher.publish(CONTENT_KEYS, key.key_id, key)
        return ContentKeys(content_id=content_id, keys=self._keys.for_packager(content_id, tiers))
