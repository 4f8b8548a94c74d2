"""Runs so many viewers for so long: they arrive one by one, and watch title after title."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from infra.deployment import Deployment
from infra.simulate.accounts import (
    SEATS_PER_ACCOUNT,
    SignInError,
    SimulatedAccount,
    prepare_accounts,
)
from infra.simulate.client import GatewayClient, open_http
from infra.simulate.playback import Habits
from infra.simulate.tally import SimulationReport, Tally
from infra.simulate.viewer import Seat, Viewer
from schemas.errors import PlayheadError
from streams.clock import system_clock

VIEWERS_MAX: Final = 2_000
MINUTES_MAX: Final = 1_440
POPULARITY: Final = 0.8
"""Exponent of Zipf's law: how much more often the first title is chosen than the next."""
DENIED_WAIT_S: Final = 3.0
TELL_INTERVAL_S: Final = 0.5


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One simulation. `rate` is how many viewers arrive per second."""

    viewers: Annotated[int, Meta(ge=1, le=VIEWERS_MAX)]
    rate: Annotated[float, Meta(gt=0, le=200)]
    minutes: Annotated[float, Meta(gt=0, le=MINUTES_MAX)]
    fetches_segments: bool = False
    seed: int = 1
    habits: Habits = Habits()


OnTally = Callable[[Tally, float], None]
"""Told the counts and the share of the time that is over, twice a second."""


async def simulate(
    deployment: Deployment, root: str, plan: Plan, on_tally: OnTally
) -> SimulationReport:
    """Run the plan against the gateway at `root`; `deployment` has the keys that subscribe.

    Raises PlayheadError where there is nothing to watch or nobody may. Cancelling it ends the
    sessions that are open.
    """
    random = Random(plan.seed)  # noqa: S311 - behavior, not secrets
    async with open_http() as http:
        setting_up = GatewayClient(http, root, Tally(random))
        titles = await _titles(setting_up)
        accounts = await _prepared(setting_up, deployment, plan.viewers)
        tally = Tally(random)
        client = GatewayClient(http, root, tally)
        seats = [
            Seat(number=number, account=accounts[number // SEATS_PER_ACCOUNT])
            for number in range(plan.viewers)
        ]
        started_s = time.monotonic()
        await _run(client, seats, titles, plan, on_tally)
        return tally.report(time.monotonic() - started_s)


async def _prepared(
    client: GatewayClient, deployment: Deployment, viewers: int
) -> list[SimulatedAccount]:
    try:
        return await prepare_accounts(client, deployment, viewers)
    except* SignInError as group:
        raise group.exceptions[0] from None


async def _titles(client: GatewayClient) -> list[str]:
    """The first page of the catalog, in an order that is their popularity."""
    answer = await client.call("titles", "GET", "/v1/titles")
    if not answer.is_ok:
        raise PlayheadError(f"the gateway lists no titles: {answer.reason}")
    titles = [title["content_id"] for title in answer.json().get("titles", [])]
    if not titles:
        raise PlayheadError("there is nothing to watch: `playhead demo`, or `content add FILE`")
    return titles


async def _run(
    client: GatewayClient,
    seats: Sequence[Seat],
    titles: Sequence[str],
    plan: Plan,
    on_tally: OnTally,
) -> None:
    started_s = time.monotonic()
    length_s = plan.minutes * 60
    telling = asyncio.create_task(_tell(client.tally, started_s, length_s, on_tally))
    try:
        async with asyncio.TaskGroup() as group:
            for seat in seats:
                group.create_task(_sit(client, seat, titles, plan, started_s))
    finally:
        telling.cancel()
        on_tally(client.tally, 1.0)


async def _sit(
    client: GatewayClient, seat: Seat, titles: Sequence[str], plan: Plan, started_s: float
) -> None:
    """One viewer from arrival to the end of the simulation."""
    random = Random(f"{plan.seed}/{seat.number}")  # noqa: S311 - behavior, not secrets
    viewer = Viewer(
        client,
        seat,
        random,
        clock=system_clock,
        fetches_segments=plan.fetches_segments,
        habits=plan.habits,
    )
    until_s = started_s + plan.minutes * 60
    await asyncio.sleep(seat.number / plan.rate)
    while time.monotonic() < until_s:
        if not await viewer.watch(choose_title(titles, random), until_s):
            await asyncio.sleep(min(DENIED_WAIT_S, max(0.0, until_s - time.monotonic())))


def choose_title(titles: Sequence[str], random: Random) -> str:
    """By Zipf's law on the order of the titles."""
    weights = [1 / (rank + 1) ** POPULARITY for rank in range(len(titles))]
    return random.choices(titles, weights)[0]


async def _tell(tally: Tally, started_s: float, length_s: float, on_tally: OnTally) -> None:
    while True:
        on_tally(tally, min(1.0, (time.monotonic() - started_s) / length_s))
        await asyncio.sleep(TELL_INTERVAL_S)
