"""`playhead cdn`."""

from __future__ import annotations

import asyncio
import getpass

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.cdn_costs import read_costs
from infra.operations.cdns import read_settings, settings_of, write_settings
from infra.settings import load_settings
from schemas.steering import CdnSettings
from streams.clock import system_clock

DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what would be set.")
NOT_NEGATIVE = click.FloatRange(min=0)


@click.group("cdn")
def command() -> None:
    """What CDNs carry and cost; the steering agent plans by it.

    Example: playhead cdn list
    """


@command.command("list")
@json_option
def list_cdns(as_json: bool) -> None:
    """Every configured CDN and what is set of it.

    Example: playhead cdn list
    """
    found = asyncio.run(read_settings(Deployment(settings=load_settings())))
    columns = ("cdn", "capacity_mbps", "regions", "commit_mbps", "price_per_gb", "drained")
    rows = [
        (
            name,
            each.capacity_mbps,
            ", ".join(f"{region}={mbps:g}" for region, mbps in each.region_capacity_mbps.items()),
            each.commit_mbps,
            each.price_per_gb,
            each.is_drained,
        )
        for name, each in found.items()
    ]
    print_rows(columns, rows, as_json=as_json)


@command.command("set")
@click.argument("name")
@click.option("--capacity", type=NOT_NEGATIVE, help="Mbit/s of all its edges together.")
@click.option(
    "--region-capacity", "regions", multiple=True, metavar="REGION=MBPS", help="Of one region."
)
@click.option("--commit", type=NOT_NEGATIVE, help="Mbit/s that are paid for in any case.")
@click.option("--price", type=NOT_NEGATIVE, help="Of a GB above the commit, in any currency.")
@DRY_RUN
@json_option
def set_cdn(
    name: str,
    capacity: float | None,
    regions: tuple[str, ...],
    commit: float | None,
    price: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set capacity, commit and price; what is not named stays. From the first one on viewers are
    spread over CDNs by a plan.

    Example: playhead cdn set alpha --capacity 40000 --region-capacity SE=12000 --price 0.008
    """
    deployment = Deployment(settings=load_settings())
    settings = asyncio.run(settings_of(deployment, name))
    given = {"capacity_mbps": capacity, "commit_mbps": commit, "price_per_gb": price}
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes and not regions:
        raise click.UsageError("nothing is set: --capacity, --region-capacity, --commit or --price")
    changed = msgspec.structs.replace(
        settings,
        **changes,
        region_capacity_mbps=settings.region_capacity_mbps | _capacities(regions),
    )
    _write(deployment, changed, dry_run=dry_run, as_json=as_json)


@command.command("drain")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Give it viewers again.")
@DRY_RUN
@json_option
def drain(name: str, undo: bool, dry_run: bool, as_json: bool) -> None:
    """Move everybody away from a CDN, within two TTLs of content steering (5 s each).

    It gets viewers only where all others are down. Segments under way are finished there: stop it
    when its traffic has ended.

    Example: playhead cdn drain beta
    """
    deployment = Deployment(settings=load_settings())
    settings = asyncio.run(settings_of(deployment, name))
    changed = msgspec.structs.replace(settings, is_drained=not undo)
    _write(deployment, changed, dry_run=dry_run, as_json=as_json)


@command.command("cost")
@click.option("--days", type=click.IntRange(1, 400), default=30, show_default=True)
@json_option
def cost(days: int, as_json: bool) -> None:
    """What each CDN carried in the last days, and what that costs above its commit.

    Example: playhead cdn cost --days 7
    """
    deployment = Deployment(settings=load_settings())
    settings = asyncio.run(read_settings(deployment))
    costs = read_costs(deployment.reader_url(), settings, days=days)
    columns = ("cdn", "traffic_gb", "p95_mbps", "commit_mbps", "billed_gb", "cost")
    rows = [(each.cdn, *(round(getattr(each, name), 3) for name in columns[1:])) for each in costs]
    print_rows(columns, rows, as_json=as_json)


def _capacities(regions: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for each in regions:
        region, equals, mbps = each.partition("=")
        if not region or not equals or not mbps.replace(".", "", 1).isdecimal():
            raise click.BadParameter(f"{each}: write SE=12000", param_hint="--region-capacity")
        found[region] = float(mbps)
    return found


def _write(deployment: Deployment, settings: CdnSettings, *, dry_run: bool, as_json: bool) -> None:
    settings = msgspec.structs.replace(settings, by=getpass.getuser(), set_at_ms=system_clock())
    if not dry_run:
        asyncio.run(write_settings(deployment, settings))
    if as_json:
        click.echo(msgspec.json.encode({"set": not dry_run, "settings": settings}))
        return
    verb = "would set" if dry_run else "set"
    limit = "unknown" if settings.capacity_mbps is None else f"{settings.capacity_mbps:g} Mbit/s"
    drained = ", drained" if settings.is_drained else ""
    click.echo(
        f"{verb} {settings.cdn}: capacity {limit}, commit {settings.commit_mbps:g} Mbit/s, "
        f"{settings.price_per_gb:g} a GB{drained}"
    )
