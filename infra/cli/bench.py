"""`playhead bench`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from infra.bench.consumer import measure_consumer
from infra.bench.gateway import measure_gateway
from infra.bench.licenses import measure_licenses
from infra.bench.processes import machine_class, resident_bytes
from infra.bench.queryable import measure_queryable
from infra.bench.sink import measure_sink
from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.sandbox import Sandbox, running_sandbox
from infra.settings import load_settings

PARTS = ("gateway", "licenses", "sink", "queryable", "consumer")


@click.command("bench")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Measure only this.")
@click.option("--seconds", default=5.0, show_default=True, help="Length of each load.")
@json_option
def command(only: tuple[str, ...], seconds: float, as_json: bool) -> None:
    """Measure this machine in a deployment of its own, each figure beside its floor.

    Example: playhead bench --only gateway --seconds 10
    """
    runtime = Deployment(settings=load_settings()).home / "runtime"
    asyncio.run(_measure(only or PARTS, seconds, runtime, as_json))


async def _measure(parts: Sequence[str], seconds: float, runtime: Path, as_json: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as home:
        async with running_sandbox(Path(home), runtime=runtime) as sandbox:
            if not as_json:
                day = datetime.now(UTC).date()
                click.echo(f"{day}, {machine_class()}, everything on this machine\n")
                _print("resident memory, idle", [_memory(sandbox)], as_json=False)
            for part in parts:
                figures = await _measure_part(part, sandbox, seconds)
                _print(part, figures, as_json=as_json)


async def _measure_part(part: str, sandbox: Sandbox, seconds: float) -> Sequence[Any]:
    match part:
        case "gateway":
            return await measure_gateway(sandbox, seconds)
        case "licenses":
            return [await measure_licenses(sandbox, 100, seconds * 2)]
        case "sink":
            return [await measure_sink(sandbox, 200_000)]
        case "consumer":
            return await measure_consumer(sandbox.deployment.broker(), 400_000)
        case _:
            return [await measure_queryable(sandbox, round(seconds * 8))]


class _Memory(msgspec.Struct, frozen=True, kw_only=True):
    processes: int
    resident_mb: int


def _memory(sandbox: Sandbox) -> _Memory:
    pids = sandbox.pids()
    return _Memory(
        processes=len(pids), resident_mb=sum(resident_bytes(p) for p in pids) // 1_000_000
    )


def _print(title: str, figures: Sequence[Any], *, as_json: bool) -> None:
    columns = figures[0].__struct_fields__
    rows = [[_rounded(getattr(figure, name)) for name in columns] for figure in figures]
    if not as_json:
        click.echo(title)
    print_rows(columns, rows, as_json=as_json)
    if not as_json:
        click.echo()


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 2) if value < 100 else round(value)
