"""`playhead worker`."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import click

from infra.deployment import Deployment
from infra.settings import load_settings
from infra.workers import FIRST_INSTANCE, WORKER_NAMES

INSTANCE_HELP = "Name of this process among those that share the partitions."


@click.command("worker")
@click.argument("names", nargs=-1, required=True, type=click.Choice(WORKER_NAMES))
@click.option("--instance", default=FIRST_INSTANCE, show_default=True, help=INSTANCE_HELP)
def command(names: tuple[str, ...], instance: str) -> None:
    """Run workers in the foreground, each in a process of its own, until SIGTERM.

    Example: playhead worker license bitrate
    """
    check_instance(instance)
    if len(names) == 1:
        _run(names[0], instance)
        return
    worker = [sys.executable, "-m", "infra.cli", "worker", "--instance", instance]
    children = [subprocess.Popen([*worker, name]) for name in names]

    def pass_on(number: int, _: object) -> None:
        for child in children:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    sys.exit(max((child.wait() for child in children), key=abs))


def check_instance(name: str) -> None:
    """Raise click.BadParameter for what cannot be part of a file's name."""
    if re.fullmatch(r"[A-Za-z0-9-]{1,32}", name) is None:
        raise click.BadParameter("letters, digits and -, at most 32", param_hint="--instance")


def _run(name: str, instance: str) -> None:
    from infra.wiring.workers import run_worker_process

    run_worker_process(name, Deployment(settings=load_settings()), instance=instance)
