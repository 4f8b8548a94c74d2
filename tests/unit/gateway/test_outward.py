"""Where the gateway's own requests may lead, whatever names resolve to (T20)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.abc import ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Limits
from gateway.drm.posting import UpstreamPoster
from gateway.issuer_keys import fetch_document
from gateway.outward import OutwardResolver, is_inside, outward_connector
from gateway.problems import ProblemError

INSIDE = (
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
)
OUTSIDE = ("8.8.8.8", "10.0.0.7", "192.168.1.1", "2001:4860:4860::8888", "fd00::7", "no-address")


class Listener:
    """A service of this machine, and how often somebody connected to it."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    def take(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    found = Listener()
    async with await asyncio.start_server(found.take, "127.0.0.1", 0) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


def names_lead_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """From now on, as whoever answers for them wants it."""

    async def resolve(
        _: aiohttp.ThreadedResolver, host: str, port: int = 0, family: int = 0
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0)
            for each in addresses
        ]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_this_machine_and_its_link_are_inside(address: str) -> None:
    assert is_inside(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_others_are_not(address: str) -> None:
    assert not is_inside(address)


@given(st.text())
def test_no_text_crashes_it(text: str) -> None:
    is_inside(text)


async def test_a_name_leads_only_to_its_addresses_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    names_lead_to(monkeypatch, "127.0.0.1", "8.8.8.8", "fe80::1")
    found = await OutwardResolver().resolve("license.example")
    assert [each["host"] for each in found] == ["8.8.8.8"]


async def test_a_name_that_leads_inside_later_is_not_followed(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    poster = UpstreamPoster(Limits())
    await poster.start()
    names_lead_to(monkeypatch, "127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0")
    with pytest.raises(ProblemError) as refused:
        await poster.post(f"https://license.example:{listener.port}/", {}, b"message")
    assert refused.value.problem.status == 503
    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch_document(f"https://issuer.example:{listener.port}/jwks")
    assert listener.connections == 0
    await poster.stop()


async def test_what_an_operator_wrote_of_this_machine_is_asked(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    names_lead_to(monkeypatch, "127.0.0.1")
    for host in ("127.0.0.1", "localhost"):
        async with aiohttp.ClientSession(connector=outward_connector()) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(f"http://{host}:{listener.port}/", allow_redirects=False)
    assert listener.connections == 2
