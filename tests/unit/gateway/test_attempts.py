from __future__ import annotations

import aiohttp
import pytest

from gateway import attempts
from gateway.attempts import Attempts
from gateway.problems import ProblemError
from gateway.region import Place, Regions
from schemas.accounts import SignIn
from schemas.envelope import Refused
from tests.gateway_fakes import MemoryClock, World

EVERY_MS = 10_000


def some_attempts(clock: MemoryClock) -> Attempts:
    return Attempts(Regions(None, "DE"), tries_max=3, try_every_ms=EVERY_MS, clock=clock)


def fail(tried: Attempts, address: str) -> None:
    tried.begin(address).failed()


def test_a_network_that_fails_too_often_waits_for_each_next_try() -> None:
    clock = MemoryClock()
    tried = some_attempts(clock)
    for host in (1, 2, 3):  # one network, whatever the host
        fail(tried, f"192.0.2.{host}")
    with pytest.raises(ProblemError) as refused:
        fail(tried, "192.0.2.4")
    assert refused.value.problem.status == 429
    assert int(refused.value.headers["Retry-After"]) == 11
    fail(tried, "192.0.3.1")  # another network has its own
    clock.now_ms += EVERY_MS
    fail(tried, "192.0.2.9")
    with pytest.raises(ProblemError):
        fail(tried, "192.0.2.9")
    clock.now_ms += 100 * EVERY_MS
    for _ in range(3):  # never more than at first
        fail(tried, "192.0.2.9")
    with pytest.raises(ProblemError):
        fail(tried, "192.0.2.9")


def test_what_succeeds_costs_nothing() -> None:
    tried = some_attempts(MemoryClock())
    for _ in range(50):
        tried.begin("2001:db8::1")
    fail(tried, "2001:db8::2")


def test_the_operators_own_proxy_is_not_everybody() -> None:
    tried = some_attempts(MemoryClock())
    for _ in range(50):
        fail(tried, "127.0.0.1")
        fail(tried, "::1")


def test_as_many_networks_are_remembered_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "NETWORKS_MAX", 2)
    tried = some_attempts(MemoryClock())
    for network in range(4):
        fail(tried, f"198.51.{network}.1")
    assert set(tried._networks) == {"198.51.2.0/24", "198.51.3.0/24"}


async def test_wrong_passwords_of_one_network_are_429_whichever_account_they_try(
    world: World, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_is_loopback", lambda _: False)
    monkeypatch.setattr(Regions, "locate", lambda *_: Place(network="192.0.2.0/24"))
    world.asker.answers[SignIn] = lambda _: Refused(status=400, reason="invalid-grant")
    said = []
    for number in range(world.config.limits.network_tries_max + 1):
        grant = {"grant_type": "password", "username": f"a{number}@b.c", "password": "x"}
        async with client.post("/v1/tokens", json=grant) as answer:
            said.append(answer.status)
    assert said == [400] * world.config.limits.network_tries_max + [429]
    assert len(world.asker.asked) == world.config.limits.network_tries_max
    async with client.post("/v1/password-resets", json={"email": "a@b.c"}) as answer:
        assert answer.status == 429
        assert "Retry-After" in answer.headers
