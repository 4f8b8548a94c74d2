"""`playhead recommend`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote, urlencode

import click
import msgspec

from infra.cli import recommend_compare
from infra.cli.output import json_option, print_rows
from infra.cli.progress import progress_bar
from infra.deployment import Deployment
from infra.operations.households import read_accounts
from infra.operations.moments import parse_moment
from infra.operations.operator import call_gateway
from infra.operations.rebuilding import (
    Comparison,
    compare_models,
    order_rebuild,
    wait_until_live,
)
from infra.settings import load_settings
from schemas.accounts import Account
from schemas.errors import PlayheadError
from schemas.recommendations import Recommendations, SimilarTitles, TitleExplained
from streams.clock import system_clock
from streams.topics import WATCHES

SWAP_TIMEOUT_S: Final = 1_800
"""A worker reads some thousand watches a second beside its answers."""


@click.group("recommend")
def command() -> None:
    """What the running agent recommends, and why.

    Example: playhead recommend why 0199a1e0-1111-7000-8000-000000000001 tide
    """


command.add_command(recommend_compare.command)


@command.command("for")
@click.argument("profile_id", metavar="PROFILE")
@click.option("--region", help="ISO 3166-1; default: that of loopback addresses.")
@click.option("--os", default="", help="Of its device, as sessions name it; default: not known.")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 100))
@json_option
def recommend_for(profile_id: str, region: str | None, os: str, count: int, as_json: bool) -> None:
    """The rows of PROFILE as it would get them now, by its maturity and plan; recorded nowhere.

    Example: playhead recommend for 0199a1e0-1111-7000-8000-000000000001 --count 5
    """
    settings = load_settings()
    deployment = Deployment(settings=settings)
    accounts = asyncio.run(read_accounts(deployment))
    limits = viewer_limits(accounts.values(), profile_id, system_clock())
    where = {"region": region or settings.loopback_region, "os": os}
    query = limits | where | {"count": str(count)}
    path = f"/v1/admin/profiles/{quote(profile_id, safe='')}/recommendations?{urlencode(query)}"
    found = _ask(deployment, path, Recommendations)
    print_rows(
        ("row", "place", "content_id", "title", "score", "propensity", "reason"),
        (
            (row.row, place, item.content_id, item.title, item.score, item.propensity, item.reason)
            for row in found.rows
            for place, item in enumerate(row.items, start=1)
        ),
        as_json=as_json,
    )


@command.command("similar")
@click.argument("content_id", metavar="TITLE")
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 100))
@json_option
def similar(content_id: str, count: int, as_json: bool) -> None:
    """Listed titles like TITLE, by genres, people and words; nobody need have watched them.

    Example: playhead recommend similar tide --count 5
    """
    deployment = Deployment(settings=load_settings())
    path = f"/v1/admin/titles/{quote(content_id, safe='')}/similar?count={count}"
    found = _ask(deployment, path, SimilarTitles)
    print_rows(
        ("content_id", "title", "cosine", "reason"),
        ((item.content_id, item.title, item.score, item.reason) for item in found.items),
        as_json=as_json,
    )


@command.command("why")
@click.argument("profile_id", metavar="PROFILE")
@click.argument("content_id", metavar="TITLE")
@json_option
def why(profile_id: str, content_id: str, as_json: bool) -> None:
    """Each expert's part in the place of TITLE for PROFILE, the largest first.

    A score is the expert's logarithm above that of the mean title. Example:
    playhead recommend why 0199a1e0-1111-7000-8000-000000000001 tide
    """
    deployment = Deployment(settings=load_settings())
    profile, title = quote(profile_id, safe=""), quote(content_id, safe="")
    path = f"/v1/admin/profiles/{profile}/recommendations/{title}"
    found = _ask(deployment, path, TitleExplained)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    print_rows(
        ("expert", "score", "weight", "part"),
        (
            (each.expert, f"{each.score:+.3f}", f"{each.weight:.3f}", f"{each.part:+.3f}")
            for each in found.experts
        ),
    )
    score = sum(each.part for each in found.experts)
    click.echo(
        f"\nscore {score:+.3f} above the mean title; likeness {found.likeness:.3f};"
        f" {found.history_count} titles watched"
        f"{'; watched to the end: not offered' if found.is_completed else ''};"
        f" model {found.model_version}"
    )


@command.command("rebuild")
@click.option("--from", "start", required=True, help="7d (ago), 2026-11-22, or with a time.")
@click.option("--dry-run", is_flag=True, help="Compare only.")
@click.option("--allow-worse", is_flag=True, help="Also where it foretells less.")
@json_option
def rebuild(start: str, dry_run: bool, allow_worse: bool, as_json: bool) -> None:
    """Let the title model learn from TIME on only, from the log, beside the live one.

    Both are compared first: which of the titles that were begun in the last fifth of the log were
    among the ten best of each. Then every worker rebuilds its model while the old one answers, and
    takes the new one at once; so does a worker that is killed meanwhile, when it starts again.

    Example: playhead recommend rebuild --from 7d --dry-run
    """
    deployment = Deployment(settings=load_settings())
    since_ms = parse_moment(start, system_clock())
    with progress_bar() as bar:
        task = bar.add_task(WATCHES.name, total=None)
        found = asyncio.run(
            compare_models(
                deployment,
                since_ms,
                lambda told: bar.update(task, total=told.total, completed=told.read),
            )
        )
    if not as_json:
        _print_comparison(found)
    if not dry_run and found.is_worse and not allow_worse:
        raise PlayheadError("the new model foretells less, so nothing was changed: --allow-worse")
    order = None if dry_run else asyncio.run(order_rebuild(deployment, since_ms))
    is_live = order is not None and asyncio.run(wait_until_live(deployment, order, SWAP_TIMEOUT_S))
    if as_json:
        told = {"since_ms": since_ms, "comparison": found, "order": order, "is_live": is_live}
        click.echo(msgspec.json.encode(told))
    elif order is not None:
        click.echo("the new model answers" if is_live else "ordered; not every worker has it yet")


def _print_comparison(found: Comparison) -> None:
    rows = (
        ("old", found.learned_old, found.hits_old, found.targets),
        ("new", found.learned_new, found.hits_new, found.targets),
    )
    print_rows(
        ("model", "steps learned", "titles foretold", "of", "hit rate @10"),
        ((*row, f"{row[2] / row[3]:.3f}" if row[3] else "") for row in rows),
    )
    if found.overlap_ratio is not None:
        share = f"{found.overlap_ratio:.0%}"
        click.echo(f"\n{share} of the ten best of {found.profiles} profiles are the same")


def viewer_limits(accounts: Iterable[Account], profile_id: str, now_ms: int) -> dict[str, str]:
    """Maturity and plan of the profile. Raises PlayheadError where no account has it."""
    for account in accounts:
        for profile in account.profiles:
            if profile.profile_id == profile_id:
                plan = account.subscription.at(now_ms).plan
                return {"maturity": str(profile.maturity), "plan": plan}
    raise PlayheadError(f"no account has the profile {profile_id}: `playhead accounts show`")


def _ask(deployment: Deployment, path: str, answer: Any) -> Any:
    told = asyncio.run(call_gateway(deployment, "GET", path, "operator", {}))
    return msgspec.convert(told, answer)
