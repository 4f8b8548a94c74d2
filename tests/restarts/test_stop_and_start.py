"""Ctrl-C ends everything in time and leaves nothing; the next start has all of it, soon."""

from __future__ import annotations

import asyncio
import secrets
import time

import aiohttp
import msgspec
import pytest

from infra.bench.processes import cpu_s, resident_bytes
from infra.keys.folder import KeyFolder
from infra.sandbox import Sandbox
from infra.supervisor.child import find_marked
from infra.supervisor.run_state import read_state
from schemas import codec
from schemas.accounts import Account, Profile
from schemas.subscriptions import Subscription
from streams.clock import system_clock
from streams.producer import Publisher
from streams.topics import ACCOUNTS
from tests.restarts.client_ledger import ClientLedger
from tests.restarts.film import list_film
from tests.restarts.machine import ForeignLoad
from tests.restarts.reconciliation import assert_session_is_folded, assert_stored_exactly_once
from tests.restarts.restartable import Restartable
from tests.restarts.viewer import Viewer
from tests.restarts.viewing import Viewing, done, open_session, open_viewing, sign_in

pytestmark = pytest.mark.timeout(900)
STOP_S_MAX = 10.0
SECOND_START_S_MAX = 15.0
RESIDENT_BYTES_MAX = 2 << 30
CHUNK = 5_000


class Restarted(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that ran, was stopped and runs again; and what was seen of it."""

    sandbox: Sandbox
    viewing: Viewing
    ledger: ClientLedger
    stop_s: float
    left: tuple[int, ...]
    """Processes that outlived the stop."""
    start_s: float
    ours_s: float
    """CPU-seconds of the second start."""
    was_calm: bool
    """Whether the machine had nothing else to do during the second start."""


@pytest.fixture(scope="module")
async def restarted(deployment: Restartable) -> Restarted:
    """Once for all tests: a start takes a while."""
    viewing, ledger = await _watch_a_little(deployment.sandbox)
    state = read_state(deployment.home)
    assert state is not None
    asked_at_s = time.monotonic()
    await deployment.sandbox.stop()
    stop_s = time.monotonic() - asked_at_s
    left = tuple(find_marked(state.run_id))
    await deployment.end()
    started_at_s, foreign = time.monotonic(), ForeignLoad()
    await deployment.start()
    start_s = time.monotonic() - started_at_s
    ours_s = sum(cpu_s(pid) for pid in deployment.sandbox.pids())
    return Restarted(
        sandbox=deployment.sandbox,
        viewing=viewing,
        ledger=ledger,
        stop_s=stop_s,
        left=left,
        start_s=start_s,
        ours_s=ours_s,
        was_calm=foreign.is_small(ours_s),
    )


async def _watch_a_little(sandbox: Sandbox) -> tuple[Viewing, ClientLedger]:
    film = await list_film(sandbox)
    async with aiohttp.ClientSession() as http:
        viewing = await open_viewing(sandbox, film, http)
        viewer = Viewer(viewing, http)
        await viewer.start()
        async with viewer.watching():
            await asyncio.sleep(1.0)
        await viewer.close()
    return viewing, viewer.ledger


def test_a_stop_is_over_in_time_and_leaves_no_process(restarted: Restarted) -> None:
    print(f"stopped in {restarted.stop_s:.1f} s")
    assert restarted.left == ()
    assert restarted.stop_s <= STOP_S_MAX


async def test_the_next_start_has_all_the_data(restarted: Restarted) -> None:
    sandbox, viewing = restarted.sandbox, restarted.viewing
    await assert_stored_exactly_once(sandbox, viewing.session_id, restarted.ledger)
    await assert_session_is_folded(sandbox, viewing.session_id)
    async with aiohttp.ClientSession() as http:
        bearer = await sign_in(sandbox, http, viewing.email, viewing.password)
        account = await done(
            http.get(f"{sandbox.deployment.gateway_url()}/v1/account", headers=bearer)
        )
        assert account["plan"] == "premium"
        again = await open_session(sandbox, viewing.film, http, bearer, viewing.profile_id)
        viewer = Viewer(msgspec.structs.replace(viewing, **again), http)
        await viewer.start()
        await viewer.close()


def test_the_second_start_is_quick(restarted: Restarted) -> None:
    told = f"second start: {restarted.start_s:.1f} s, {restarted.ours_s:.1f} CPU-seconds"
    print(f"{told}; the machine to itself: {restarted.was_calm}")
    assert restarted.start_s <= SECOND_START_S_MAX or not restarted.was_calm


def test_everything_idles_in_little_memory(restarted: Restarted) -> None:
    resident = sum(resident_bytes(pid) for pid in restarted.sandbox.pids())
    print(f"resident: {resident / 2**20:.0f} MiB")
    assert resident <= RESIDENT_BYTES_MAX


@pytest.mark.parametrize(
    ("accounts", "back_s_max"),
    [(10_000, 15.0), pytest.param(100_000, 30.0, marks=pytest.mark.long)],
)
async def test_killed_workers_are_back_soon_however_many_accounts_there_are(
    restarted: Restarted, accounts: int, back_s_max: float
) -> None:
    sandbox = restarted.sandbox
    await _publish_accounts(sandbox, accounts)
    for name in ("account", "license"):
        killed_at_s = time.monotonic()
        pid = sandbox.kill(name)
        await sandbox.wait_ready(not_pid=pid)
        took_s = time.monotonic() - killed_at_s
        print(f"{name}: ready after {took_s:.1f} s with {accounts} accounts and profiles")
        assert took_s <= back_s_max or not restarted.was_calm


async def _publish_accounts(sandbox: Sandbox, count: int) -> None:
    """As the account agent would have, over the years."""
    deployment = sandbox.deployment
    publisher = Publisher(
        deployment.broker(),
        client_id="restart-tests",
        state_key=KeyFolder(deployment.keys).state_key(),
        delivery_timeout_ms=60_000,
    )
    await publisher.start()
    try:
        for first in range(0, count, CHUNK):
            accounts = [_an_account(first + number) for number in range(CHUNK)]
            rows = [(account.account_id, codec.encode(account)) for account in accounts]
            await publisher.publish_many(ACCOUNTS, rows)
    finally:
        await publisher.stop()


def _an_account(number: int) -> Account:
    now_ms = system_clock()
    return Account(
        account_id=f"00000000-0000-4000-8000-{number:012d}",
        version=3,
        created_at_ms=now_ms,
        subscription=Subscription(plan="standard", state="active", since_ms=now_ms),
        profiles=(Profile(profile_id=f"profile-{number}", name="Ada", created_at_ms=now_ms),),
        sealed=secrets.token_bytes(400),
    )
