"""`playhead worker`."""

from __future__ import annotations

import signal
import subprocess
import sys

import click

from infra.deployment import Deployment
from infra.settings import load_settings
from infra.workers import WORKER_NAMES


@click.command("worker")
@click.argument("names", nargs=-1, required=True, type=click.Choice(WORKER_NAMES))
def command(names: tuple[str, ...]) -> None:
    """Run workers in the foreground, each in a process of its own, until SIGTERM.

    Example: playhead worker license bitrate
    """
    if len(names) == 1:
        _run(names[0])
        return
    children = [
        subprocess.Popen([sys.executable, "-m", "infra.cli", "worker", name]) for name in names
    ]

    def pass_on(number: int, _: object) -> None:
        for child in children:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    sys.exit(max((child.wait() for child in children), key=abs))


def _run(name: str) -> None:
    from infra.wiring.workers import run_worker_process

    run_worker_process(name, Deployment(settings=load_settings()))
