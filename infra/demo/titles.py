"""The demo titles: made where they are missing, and listed."""

from __future__ import annotations

import asyncio
import secrets

from infra.content.binaries import find_media_tools
from infra.content.demo import DemoStudio, make_demo_titles
from infra.content.demo_titles import DEMO_TITLES, DemoTitle
from infra.content.packaging import Progress
from infra.content.storage import Storage
from infra.deployment import Deployment
from infra.wiring.packager import open_packager


async def ensure_demo_titles(
    deployment: Deployment,
    on_progress: Progress,
    titles: tuple[DemoTitle, ...] = DEMO_TITLES,
) -> int:
    """Make and list the demo titles, each as soon as it can be played; returns how many.

    Raises MediaError where one cannot be made.
    """
    work_root = deployment.home / "work"
    await asyncio.to_thread(work_root.mkdir, parents=True, exist_ok=True)
    async with open_packager(deployment) as packager:
        studio = DemoStudio(
            tools=find_media_tools(),
            storage=Storage(deployment.storage_url),
            request_keys=packager.request_keys,
            work_root=work_root,
            on_progress=on_progress,
            new_revision=lambda: secrets.token_hex(4),
        )
        count = 0
        async for title in make_demo_titles(studio, titles):
            await packager.put(title)
            count += 1
    return count
