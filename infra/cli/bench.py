"""`playhead bench`."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from infra.bench.consumer import measure_consumer
from infra.bench.curve import measure_curve
from infra.bench.gateway import measure_gateway
from infra.bench.license_overload import measure_license_overload
from infra.bench.licenses import measure_licenses
from infra.bench.overload import measure_overload, split_cores
from infra.bench.processes import machine_class, resident_bytes
from infra.bench.queryable import measure_queryable
from infra.bench.sink import measure_sink
from infra.bench.throughput import measure_throughput
from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.sandbox import Sandbox, running_sandbox
from infra.settings import load_settings

PARTS = ("gateway", "licenses", "sink", "queryable", "consumer")
OVERLOAD = "overload"
THROUGHPUT = "throughput"
CURVE = "curve"
LICENSES = "licenses"
LICENSE_RATES_PER_S = (100.0, 300.0, 1000.0)
LICENSES_S = 30.0
CURVE_S = 30.0
LOAD_S = 300.0
EVENT_PATH = ("kafka", "clickhouse", "migrations", "gateway", "analytics")


@click.command("bench")
@click.argument("what", type=click.Choice([OVERLOAD, THROUGHPUT, CURVE, LICENSES]), required=False)
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Measure only this.")
@click.option(
    "--seconds",
    type=float,
    help="Length of each load: 5; 300 of overload and throughput; 30 of curve and licenses.",
)
@click.option(
    "--events-per-post",
    type=click.Choice(["1", "10", "100"]),
    default="100",
    show_default=True,
    help="Of the overload.",
)
@click.option(
    "--licenses-per-s", default=20.0, show_default=True, help="Asked during the overload."
)
@click.option(
    "--events-per-s", default=20_000.0, show_default=True, help="Of the throughput, steadily."
)
@click.option("--path-only", is_flag=True, help="Of the throughput: without the agents.")
@json_option
def command(
    what: str | None,
    only: tuple[str, ...],
    seconds: float | None,
    events_per_post: str,
    licenses_per_s: float,
    events_per_s: float,
    path_only: bool,
    as_json: bool,
) -> None:
    """Measure this machine in a deployment of its own, each figure beside its floor.

    `overload` offers ten times of what the machine takes in events, for five minutes: the
    generators have one core, the deployment has the others. `throughput` offers a steady load and
    tells what each component takes of the machine. `curve` tells what an event costs with more
    gateways and sinks, and with more rows stored. `licenses` asks for 100, 300 and 1,000 of them a
    second, and then for ten times of what the machine decides.

    \b
    Example: playhead bench --only gateway --seconds 10
             playhead bench overload --seconds 60 --json
             playhead bench throughput --events-per-s 20000 --seconds 60
    """
    runtime = Deployment(settings=load_settings()).home / "runtime"
    if what == OVERLOAD:
        length_s = seconds or LOAD_S
        asyncio.run(_overload(length_s, int(events_per_post), licenses_per_s, runtime, as_json))
    elif what == THROUGHPUT:
        components = EVENT_PATH if path_only else ()
        asyncio.run(_throughput(events_per_s, seconds or LOAD_S, components, runtime, as_json))
    elif what == CURVE:
        asyncio.run(_curve(seconds or CURVE_S, runtime, as_json))
    elif what == LICENSES:
        asyncio.run(_licenses(seconds or LICENSES_S, runtime, as_json))
    else:
        asyncio.run(_measure(only or PARTS, seconds or 5.0, runtime, as_json))


async def _overload(
    seconds: float, events_per_post: int, licenses_per_s: float, runtime: Path, as_json: bool
) -> None:
    cores = split_cores()
    os.sched_setaffinity(0, cores.deployment)  # for whatever is started from now on
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as home:
        async with running_sandbox(Path(home), runtime=runtime) as sandbox:
            figure = await measure_overload(
                sandbox,
                cores,
                seconds=seconds,
                events_per_post=events_per_post,
                licenses_per_s=licenses_per_s,
            )
    if as_json:
        _print(OVERLOAD, [figure], as_json=True)
    else:
        click.echo(f"{machine_class()}, of which the generators have one")
        _print_one(figure)


async def _throughput(
    events_per_s: float, seconds: float, components: Sequence[str], runtime: Path, as_json: bool
) -> None:
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as home:
        async with running_sandbox(Path(home), only=components, runtime=runtime) as sandbox:
            figure, shares = await measure_throughput(sandbox, events_per_s, seconds)
    if as_json:
        _print(THROUGHPUT, [figure], as_json=True)
    else:
        click.echo(f"{machine_class()}, everything on this machine, the generator too\n")
        _print_one(figure)
    _print("by component", shares, as_json=as_json)


async def _curve(seconds: float, runtime: Path, as_json: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as home:
        async with running_sandbox(Path(home), only=EVENT_PATH, runtime=runtime) as sandbox:
            figures = await measure_curve(sandbox, seconds)
    if not as_json:
        click.echo(f"{machine_class()}, everything on this machine, the generator too\n")
    _print("CPU time of an event, µs", figures, as_json=as_json)


async def _licenses(seconds: float, runtime: Path, as_json: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as home:
        async with running_sandbox(Path(home), runtime=runtime) as sandbox:
            figures = await measure_licenses(sandbox, LICENSE_RATES_PER_S, seconds)
    if as_json:
        _print(LICENSES, figures, as_json=True)
    else:
        click.echo(f"{machine_class()}, everything on this machine, who asks too\n")
        for figure in figures:
            _print_one(figure)
    cores = split_cores()
    os.sched_setaffinity(0, cores.deployment)
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as home:
        async with running_sandbox(Path(home), runtime=runtime) as sandbox:
            overload = await measure_license_overload(sandbox, cores, seconds)
    if as_json:
        _print("overload", [overload], as_json=True)
    else:
        click.echo("ten times of what it decides; who asks has a core of its own")
        _print_one(overload)


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
            return await measure_licenses(sandbox, [100.0], seconds * 2)
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


def _print_one(figure: msgspec.Struct) -> None:
    """A figure of many parts, one below the other."""
    rows = [(name, _rounded(getattr(figure, name))) for name in figure.__struct_fields__]
    print_rows(("figure", "value"), rows)
    click.echo()


def _rounded(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 2) if value < 100 else round(value)
