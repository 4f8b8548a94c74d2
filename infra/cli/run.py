"""`playhead run`: everything under one supervisor."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import IO

import click
import msgspec
from rich.console import Console

from infra.demo.account import demo_credentials
from infra.deployment import Deployment
from infra.kafka.aot import train
from infra.logs import configure_logging
from infra.policies import policy_in_force
from infra.settings import load_settings
from infra.setup.downloads import provide_downloads
from infra.stack import Stack, environment_of, prepare_keys, prepare_log, with_ports
from infra.supervisor.component import Component, select
from infra.supervisor.report import print_summary
from infra.supervisor.run_state import take_lock
from infra.supervisor.supervise import supervise


@click.command("run")
@click.option("--only", help="Only these components, by comma: gateway,license")
def command(only: str | None) -> None:
    """Run every component under one supervisor, each in its own process, until Ctrl-C.

    Example: playhead run --only gateway,license
    """
    settings = with_ports(load_settings())
    policy_in_force(settings)  # said before anything starts
    deployment = Deployment(settings=settings)
    configure_logging("supervisor", settings.log_format, "error")
    console = Console()
    started_s = time.monotonic()
    sys.exit(_run(deployment, only, console, started_s))


def _run(deployment: Deployment, only: str | None, console: Console, started_s: float) -> int:
    lock = take_lock(deployment.home)
    prepare_keys(deployment)
    has_kafka = not deployment.settings.kafka
    asyncio.run(provide_downloads(deployment.runtime, console, with_kafka=has_kafka))
    with console.status("preparing the Kafka broker"):
        components = Stack(deployment).components()
    if only is not None:
        components = list(select(components, only.split(",")))
    run = _Run(deployment, console, started_s, is_whole=only is None)
    return asyncio.run(run.supervise(components, lock))


class _Run:
    """One run: what happens beside the components themselves."""

    def __init__(
        self, deployment: Deployment, console: Console, started_s: float, *, is_whole: bool
    ) -> None:
        self._deployment = deployment
        self._console = console
        self._started_s = started_s
        self._is_whole = is_whole

    async def supervise(self, components: list[Component], lock: IO[str]) -> int:
        """Run the components until a signal; the exit code."""
        if self._is_whole and self._deployment.settings.kafka:
            await prepare_log(self._deployment)
        return await supervise(
            components,
            self._deployment.home,
            self._on_ready,
            console=self._console,
            lock=lock,
        )

    async def _on_ready(self, _: float) -> None:
        if self._is_whole and self._deployment.settings.demo:
            await self._make_demo()
        gateway = self._deployment.settings.public_url or self._deployment.gateway_url()
        print_summary(
            self._console,
            addresses={
                "player page": gateway,
                "console": f"{gateway}/console",
                "ClickHouse": self._deployment.reader_address(),
                "Kafka": self._deployment.broker().bootstrap,
            },
            credentials=self._credentials(),
            total_s=time.monotonic() - self._started_s,
        )
        if not self._deployment.settings.kafka:
            await train(self._deployment.runtime)  # the next start of the broker is faster

    async def _make_demo(self) -> None:
        """In a process of its own that shows its progress here."""
        settings = self._deployment.settings
        demo = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "infra.cli",
            "demo",
            env=environment_of(msgspec.structs.replace(settings, home=str(self._deployment.home))),
        )
        try:
            code = await demo.wait()
        except asyncio.CancelledError:
            demo.terminate()
            raise
        if code != 0:
            self._console.print("[yellow]The demo is incomplete; `playhead demo` tries again.[/]")

    def _credentials(self) -> dict[str, str]:
        if not (self._is_whole and self._deployment.settings.demo):
            return {}
        credentials = demo_credentials(self._deployment)
        return {"sign in as": credentials.email, "password": credentials.password}
