"""`playhead gateway`."""

from __future__ import annotations

import click

from infra.deployment import Deployment
from infra.settings import load_settings


@click.command("gateway")
def command() -> None:
    """Run one gateway in the foreground, until SIGTERM.

    Example: PLAYHEAD_GATEWAY_PORT=8080 playhead gateway
    """
    from infra.wiring.gateway import run_gateway_process

    run_gateway_process(Deployment(settings=load_settings()))
