"""`playhead recommend compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.deployment import Deployment
from infra.operations.drawn_places import (
    Outcome,
    popular,
    proposed,
    read_drawn,
    read_opened,
    read_proposals,
)
from infra.operations.off_policy import Comparison, compare
from infra.settings import load_settings
from schemas.errors import PlayheadError

POPULAR: Final = "popular"
WEIGHT_MEAN_MIN: Final = 0.9
"""Below, too much of what the other policy wants could not be drawn."""


@click.command("compare")
@click.argument("policy", metavar="POLICY")
@click.option("--days", type=click.IntRange(2, 400), default=30, show_default=True)
@click.option(
    "--outcome", type=click.Choice(get_args(Outcome)), default="clicked", show_default=True
)
@json_option
def command(policy: str, days: int, outcome: Outcome, as_json: bool) -> None:
    """What POLICY would have got at the drawn places of served rows, with 95 % intervals.

    One place in ten of "top picks" is drawn with a known probability: these draws judge any policy
    that was never served. POLICY is `popular` (what was opened most in the week before), or a file
    with a line of JSON for each place: {"profile_id", "position", "at_ms", "titles": {ID: chance}}.

    Example: playhead recommend compare popular --days 14 --outcome completed
    """
    url = Deployment(settings=load_settings()).reader_url()
    places = read_drawn(url, days)
    if policy == POPULAR:
        draws = popular(places, read_opened(url, days), outcome)
    else:
        draws = proposed(places, read_proposals(Path(policy)), outcome)
    if not draws:
        raise PlayheadError(
            f"{len(places)} places were drawn in {days} days, and the policy names titles for none"
        )
    found = compare(draws)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    print_rows(
        ("estimator", outcome, "from", "to"),
        (
            (each.estimator, f"{each.value:.4f}", f"{each.low:.4f}", f"{each.high:.4f}")
            for each in found.estimates
        ),
    )
    click.echo(_told(found))


def _told(found: Comparison) -> str:
    told = (
        f"\n{found.draws} draws of {found.profiles} profiles, worth"
        f" {found.effective_draws:.0f} of the other policy's own;"
        f" weights {found.weight_mean:.2f} on average, {found.weight_max:.1f} at most"
    )
    if found.weight_mean < WEIGHT_MEAN_MIN:
        return f"{told}\nThe other policy wants titles that are never drawn: no estimate holds."
    return told
