"""Viewers with sessions, a title with keys, and what they ask for: for benchmarks and faults."""

from __future__ import annotations

import asyncio
import base64
import itertools
import secrets
from typing import Any, Final

import aiohttp
import msgspec

from infra.deployment import Deployment
from infra.keys.folder import KeyFolder
from infra.sandbox import Sandbox
from infra.wiring.packager import open_packager
from schemas.accounts import Account, Profile
from schemas.catalog import AudioTrack, Rendition, Segments, StorageLocation, Tier, Title
from schemas.ids import uuid7
from schemas.licenses import TierKey
from schemas.subscriptions import Subscription
from schemas.tokens import ACCESS_TYP, AUDIENCE, ISSUER, AccessClaims
from streams.clock import system_clock
from streams.producer import Publisher
from streams.tokens import issue
from streams.topics import ACCOUNTS

CONTENT_ID: Final = "bench-title"
TIERS: Final[tuple[Tier, ...]] = ("audio", "sd", "hd")
PROFILE_ID: Final = "bench"


async def open_sessions(sandbox: Sandbox, count: int) -> tuple[str, ...]:
    """License URLs of new sessions, each of an account of its own: spread over all partitions."""
    deployment = sandbox.deployment
    accounts = await sign_up(deployment, count)
    wanted = {"device_id": "bench", "max_height": 1080}
    async with aiohttp.ClientSession(deployment.gateway_url()) as http:
        opened = [await open_session(deployment, http, a, CONTENT_ID, wanted) for a in accounts]
    return tuple(str(session["license_url"]) for session in opened)


async def sign_up(deployment: Deployment, count: int) -> list[Account]:
    """New accounts with a subscription, as the account agent would tell of them."""
    accounts = [_account() for _ in range(count)]
    publisher = Publisher(
        deployment.broker(), client_id="bench", state_key=KeyFolder(deployment.keys).state_key()
    )
    await publisher.start()
    try:
        await asyncio.gather(*(publisher.publish(ACCOUNTS, a.account_id, a) for a in accounts))
    finally:
        await publisher.stop()
    return accounts


def _account() -> Account:
    now_ms = system_clock()
    return Account(
        account_id=str(uuid7(now_ms, secrets.token_bytes(10))),
        version=1,
        created_at_ms=now_ms,
        subscription=Subscription(plan="premium", state="active", since_ms=now_ms),
        profiles=(Profile(profile_id=PROFILE_ID, name="Bench", created_at_ms=now_ms),),
    )


async def open_session(
    deployment: Deployment,
    http: aiohttp.ClientSession,
    account: Account,
    content_id: str,
    device: dict[str, Any],
) -> dict[str, Any]:
    """The answer of POST /v1/sessions."""
    now_s = system_clock() // 1000
    claims = AccessClaims(
        iss=ISSUER,
        aud=AUDIENCE,
        sub=account.account_id,
        jti=secrets.token_hex(8),
        iat=now_s,
        exp=now_s + 600,
        ver=account.version,
    )
    token = issue(KeyFolder(deployment.keys).identity("account"), claims, typ=ACCESS_TYP)
    wanted = {"content_id": content_id, "profile_id": PROFILE_ID, "device": device}
    headers = {"Authorization": f"Bearer {token}"}
    async with http.post("/v1/sessions", json=wanted, headers=headers) as response:
        response.raise_for_status()
        opened: dict[str, Any] = await response.json()
    return opened


def license_bodies(keys: tuple[TierKey, ...]) -> list[bytes]:
    """Requests for every choice of the keys in every order, no two alike."""
    kids = [base64.urlsafe_b64encode(bytes.fromhex(k.key_id)).rstrip(b"=").decode() for k in keys]
    choices = (c for n in range(1, len(kids) + 1) for c in itertools.permutations(kids, n))
    return [msgspec.json.encode({"kids": list(c), "type": "temporary"}) for c in choices]


async def list_title(sandbox: Sandbox) -> tuple[TierKey, ...]:
    """A title without media: licenses never look at it."""
    async with open_packager(sandbox.deployment) as packager:
        keys = await packager.request_keys(CONTENT_ID, TIERS)
        await packager.put(_title(sandbox, {key.tier: key.key_id for key in keys}))
    return keys


def _title(sandbox: Sandbox, kids: dict[Tier, str]) -> Title:
    def segments(track: str) -> Segments:
        return Segments(
            init=f"{track}/init.mp4",
            media=f"{track}/$Number$.m4s",
            timescale=1000,
            durations=(2000,),
            sizes_bytes=(1000,),
        )

    rungs: tuple[tuple[Tier, int, int, int], ...] = (("sd", 640, 360, 500), ("hd", 1280, 720, 2000))
    return Title(
        content_id=CONTENT_ID,
        title="Bench",
        duration_ms=2000,
        storage=(StorageLocation(url=f"{sandbox.deployment.storage_url}/{CONTENT_ID}"),),
        video=tuple(
            Rendition(
                rendition_id=f"v{height}",
                width=width,
                height=height,
                frame_rate=24,
                codecs="avc1.64001f",
                bitrate_kbps=kbps,
                average_bitrate_kbps=kbps,
                tier=tier,
                key_id=kids[tier],
                segments=segments(f"v{height}"),
            )
            for tier, width, height, kbps in rungs
        ),
        audio=(
            AudioTrack(
                track_id="a-en",
                language="en",
                label="English",
                channels=2,
                sampling_rate_hz=48_000,
                codecs="mp4a.40.2",
                bitrate_kbps=104,
                key_id=kids["audio"],
                segments=segments("a-en"),
                is_default=True,
            ),
        ),
    )
