"""`playhead demo`: what `playhead run` does once everything is up for the first time."""

from __future__ import annotations

import asyncio

import click
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from infra.content.demo_titles import DEMO_TITLES
from infra.content.packaging import Stage
from infra.demo.account import ensure_demo_account
from infra.demo.titles import ensure_demo_titles
from infra.deployment import Deployment
from infra.settings import load_settings

_SHARES: dict[Stage, tuple[float, float]] = {
    "keys": (0.0, 0.02),
    "encode": (0.02, 0.85),
    "encrypt": (0.85, 0.95),
    "upload": (0.95, 1.0),
    "done": (1.0, 1.0),
}
"""Where in a title's making each stage begins and ends."""


@click.command("demo")
@click.option("--titles", type=int, default=len(DEMO_TITLES), help="Only the first so many.")
def command(titles: int) -> None:
    """Make the demo viewer and the demo titles of a running deployment, where they are missing.

    Example: playhead demo
    """
    asyncio.run(_make(Deployment(settings=load_settings()), titles))


async def _make(deployment: Deployment, count: int) -> None:
    await ensure_demo_account(deployment)
    chosen = DEMO_TITLES[:count]
    with Progress(
        TextColumn("  {task.description:24}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        transient=True,
    ) as progress:
        tasks: dict[str, TaskID] = {
            title.content_id: progress.add_task(title.title, total=1.0) for title in chosen
        }

        def show(content_id: str, stage: Stage, share: float) -> None:
            start, end = _SHARES[stage]
            progress.update(tasks[content_id], completed=start + (end - start) * share)

        await ensure_demo_titles(deployment, show, chosen)
