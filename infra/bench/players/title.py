"""What is played: a small picture full of noise, so that its bytes are real and decoding is cheap.

Rates and number of rungs are those of the video that most published work streams (Pensieve's); the
product's controller and the players look at nothing else of a ladder.
"""

from __future__ import annotations

import asyncio
import secrets
from fractions import Fraction
from typing import Final

from msgspec.structs import replace

from infra.content.binaries import find_media_tools
from infra.content.encode import SEGMENT_S, Encoding
from infra.content.ladder import FittedRung
from infra.content.packaging import PackagingJob, package_title
from infra.content.source import AudioInput, Source
from infra.content.storage import Storage
from infra.deployment import Deployment
from infra.wiring.packager import open_packager
from schemas.catalog import Title

CONTENT_ID: Final = "bench-players"
RATES_KBPS: Final = (300, 750, 1200, 1850, 2850, 4300)
WIDTH: Final = 320
HEIGHTS: Final = (80, 100, 120, 140, 160, 180)
"""A rung each: what is on the screen is told by its height."""
FRAME_RATE: Final = 24
NOISE: Final = (
    f"nullsrc=s={WIDTH}x{HEIGHTS[-1]}:r={FRAME_RATE},format=yuv420p,"
    "noise=all_seed=7:alls=100:allf=t[picture];sine=frequency=220:sample_rate=48000[sound]"
)


async def make_title(deployment: Deployment, duration_s: int) -> Title:
    """Encoded, encrypted, stored and listed. Raises PlayheadError."""
    work_root = deployment.home / "work"
    await asyncio.to_thread(work_root.mkdir, parents=True, exist_ok=True)
    async with open_packager(deployment) as packager:
        title = await package_title(
            job_of(duration_s, f"bench-{secrets.token_hex(4)}"),
            tools=find_media_tools(),
            storage=Storage(deployment.storage_url),
            request_keys=packager.request_keys,
            work_root=work_root,
            on_progress=lambda content_id, stage, share: None,
        )
        return await packager.put(as_declared(title))


def as_declared(title: Title) -> Title:
    """Pure: with nominal rates. The first segment is half as heavy again, until the encoder knows
    its noise, and players would take its rate for that of the rung.
    """
    video = tuple(
        replace(rendition, bitrate_kbps=kbps, average_bitrate_kbps=kbps)
        for rendition, kbps in zip(title.video, RATES_KBPS, strict=True)
    )
    return replace(title, video=video)


def job_of(duration_s: int, revision: str) -> PackagingJob:
    """Pure: its packaging, in whole segments."""
    duration_ms = duration_s // SEGMENT_S * SEGMENT_S * 1000
    sound = AudioInput(
        selector="[sound]", language="en", label="English", is_default=True, channels=1
    )
    rungs = tuple(
        FittedRung(
            rendition_id=f"v{height}",
            width=round(WIDTH * height / HEIGHTS[-1] / 2) * 2,
            height=height,
            bitrate_kbps=kbps,
            tier="sd",
        )
        for height, kbps in zip(HEIGHTS, RATES_KBPS, strict=True)
    )
    return PackagingJob(
        draft=Title(content_id=CONTENT_ID, title="Noise", duration_ms=duration_ms),
        revision=revision,
        source=Source(
            input_args=(),
            graph=NOISE,
            width=WIDTH,
            height=HEIGHTS[-1],
            frame_rate=Fraction(FRAME_RATE),
            duration_ms=duration_ms,
            audio=(sound,),
        ),
        encoding=Encoding(rungs=rungs, preset="ultrafast"),
    )
