"""`playhead gateway`."""

from __future__ import annotations

import click

from infra.cli.worker import check_instance
from infra.deployment import Deployment
from infra.settings import load_settings
from infra.workers import FIRST_INSTANCE

INSTANCE_HELP = "Name of this process among the gateways of this machine."


@click.command("gateway")
@click.option("--instance", default=FIRST_INSTANCE, show_default=True, help=INSTANCE_HELP)
def command(instance: str) -> None:
    """Run one gateway in the foreground, until SIGTERM.

    Where it listens stands in PLAYHEAD_HOME/run/gateway.json (gateway-2.json of --instance 2).

    Example: PLAYHEAD_GATEWAY_PORT=8081 playhead gateway --instance 2
    """
    from infra.wiring.gateway import run_gateway_process

    check_instance(instance)
    run_gateway_process(Deployment(settings=load_settings()), instance=instance)
