"""`playhead worker`."""

from __future__ import annotations

import os
import signal
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
        os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, sys.argv[0], "worker", name])
        for name in names
    ]

    def pass_on(number: int, _: object) -> None:
        for child in children:
            os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(codes, key=abs))


def _run(name: str) -> None:
    from infra.wiring import run_worker_process

    run_worker_process(name, Deployment(settings=load_settings()))
