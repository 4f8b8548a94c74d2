"""`python -m infra.faults.supervised AMENDMENTS`: `playhead run` with changes to its components.

The changes exist only here: no setting of the product leads a component astray.
"""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec
from rich.console import Console

from infra.deployment import Deployment
from infra.faults.amendments import Amendment, amend
from infra.logs import configure_logging
from infra.settings import load_settings
from infra.setup.downloads import provide_downloads
from infra.stack import Stack, prepare_keys, with_ports
from infra.supervisor.component import select
from infra.supervisor.run_state import take_lock
from infra.supervisor.supervise import supervise


@click.command()
@click.argument("amendments")
@click.argument("run")
@click.option("--only", required=True)
def main(amendments: str, run: str, only: str) -> None:
    """Run the components named by --only until a signal."""
    assert run == "run"
    settings = with_ports(load_settings())
    deployment = Deployment(settings=settings)
    configure_logging("supervisor", settings.log_format, "error")
    console = Console()
    lock = take_lock(deployment.home)
    prepare_keys(deployment)
    asyncio.run(provide_downloads(deployment.runtime, console, with_kafka=True))
    changes = msgspec.json.decode(amendments, type=list[Amendment])
    wanted = select(Stack(deployment).components(), only.split(","))
    named = {component.name for component in wanted}
    components = amend(wanted, [each for each in changes if each.component in named])
    sys.exit(
        asyncio.run(supervise(components, deployment.home, _ready, console=console, lock=lock))
    )


async def _ready(_: float) -> None:
    """The harness sees it in the state file."""


if __name__ == "__main__":
    main()
