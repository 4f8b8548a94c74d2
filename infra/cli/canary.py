"""`playhead canary`."""

from __future__ import annotations

import asyncio

import click

from infra.canary.run import run_canary
from infra.deployment import Deployment
from infra.logs import configure_logging
from infra.settings import load_settings


@click.command("canary")
def command() -> None:
    """Probe each minute, in the foreground: an event and a license through the whole path.

    Example: playhead canary
    """
    settings = load_settings()
    configure_logging("canary", settings.log_format, settings.log_level)
    asyncio.run(run_canary(Deployment(settings=settings)))
