"""The door from a player's request to the upstream's answer; only the license agent is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from gateway.config import Limits
from gateway.drm.challenges import read_challenge
from gateway.drm.upstreams import AnyUpstream, Certificate
from schemas.envelope import Refused
from schemas.secrets import SecretBytes
from schemas.sessions import DRMSystem, GetEntitlement
from tests.gateway_fakes import World
from tests.unit.drm import stand_in
from tests.unit.drm.entitlements import (
    COMMUNICATION_KEY,
    HD,
    SD,
    SHARED_SECRET,
    a_drmtoday,
    a_proxy,
    an_axinom,
    an_entitlement,
)
from tests.unit.drm.messages import playready, widevine, widevine_renewal
from tests.unit.drm.stand_in import LICENSE, StandIn
from tests.unit.gateway.opened import open_session
from tests.unit.gateway.running import running_gateway

COM_KEY_ID = an_axinom().communication_key_id
API_KEY = "an api key"


def entitle(world: World, **changes: Any) -> None:
    """The agent says yes to what it is asked, or to SD and HD."""

    def answer(question: GetEntitlement) -> Any:
        return an_entitlement(
            decision_id=world.new_id(),
            system=question.system,
            session_id=question.session_id,
            granted_at_ms=world.clock(),
            expires_at_ms=world.clock() + 3_600_000,
            **changes,
        )

    world.asker.answers[GetEntitlement] = answer


@asynccontextmanager
async def door_to(
    world: World, upstream: AnyUpstream, system: DRMSystem = "widevine", **limits: int
) -> AsyncIterator[aiohttp.ClientSession]:
    """A gateway whose upstream for the system is this one."""
    limits = {"unavailable_license_delay_ms": 0, **limits}
    world.config = replace(
        world.config, drm_upstreams={system: upstream}, limits=replace(Limits(), **limits)
    )
    async with running_gateway(world) as client:
        yield client


async def ask(
    client: aiohttp.ClientSession,
    token: str,
    message: bytes,
    system: str = "widevine",
    **headers: str,
) -> tuple[int, Any, aiohttp.ClientResponse]:
    """Status, body (of a problem its reason), answer."""
    path = f"/s/{token}/license/{system}"
    async with client.post(path, data=message, headers=headers) as answer:
        if answer.status == 200:
            return 200, await answer.read(), answer
        return answer.status, (await answer.json(content_type=None))["reason"], answer


def an_axinom_stand_in(world: World, key: bytes = COMMUNICATION_KEY) -> StandIn:
    return stand_in.axinom(
        {COM_KEY_ID: key},
        lambda message: set(read_challenge("widevine", message).key_ids),
        lambda: world.clock() / 1000,
    )


async def test_axinom_licenses_what_it_can_verify(world: World) -> None:
    entitle(world)
    sid, token = open_session(world)
    message = widevine(SD, HD)
    async with (
        stand_in.listening(service := an_axinom_stand_in(world)) as url,
        door_to(world, an_axinom(url=url)) as client,
    ):
        status, body, answer = await ask(client, token, message)
    assert (status, body) == (200, LICENSE)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_type == "application/octet-stream"
    assert service.messages == [message]
    assert token not in str(service.headers)
    ((topic, _, question),) = world.asker.asked
    assert topic == "license.requests.v1"
    assert isinstance(question, GetEntitlement)
    assert (question.session_id, question.system, question.key_ids) == (sid, "widevine", (SD, HD))
    assert question.is_checked_upstream


async def test_axinom_refuses_a_forged_entitlement_and_a_key_that_is_not_in_it(
    world: World,
) -> None:
    entitle(world)
    _, token = open_session(world)
    forged = SecretBytes(b"YW5vdGhlciBjb21tdW5pY2F0aW9uIGtleSBvZiAzMiBi")
    async with stand_in.listening(service := an_axinom_stand_in(world)) as url:
        async with door_to(world, an_axinom(url=url, communication_key=forged)) as client:
            assert (await ask(client, token, widevine(SD)))[:2] == (403, "upstream-refused")
        async with door_to(world, an_axinom(url=url)) as client:
            assert (await ask(client, token, widevine("c" * 32)))[:2] == (403, "upstream-refused")
            entitle(world, keys=an_entitlement().keys[:1])
            assert (await ask(client, token, widevine(SD, HD)))[:2] == (403, "upstream-refused")
            assert (await ask(client, token, widevine(SD)))[0] == 200
    assert service.said == ["signature", "keys", "keys", ""]


async def test_an_old_entitlement_is_worth_nothing(world: World) -> None:
    world.asker.answers[GetEntitlement] = lambda _: an_entitlement()
    _, token = open_session(world)
    async with (
        stand_in.listening(service := an_axinom_stand_in(world)) as url,
        door_to(world, an_axinom(url=url)) as client,
    ):
        world.clock.now_ms += 61_000
        assert (await ask(client, token, widevine(SD)))[0] == 403
    assert service.said == ["expired"]


async def test_drmtoday_licenses_what_it_can_verify_and_each_token_once(world: World) -> None:
    entitle(world)
    _, token = open_session(world)
    service = stand_in.drmtoday(
        {"secret-1": SHARED_SECRET}, "merchant-1", lambda _: "tears", lambda: world.clock() / 1000
    )
    async with stand_in.listening(service) as url:
        async with door_to(world, a_drmtoday(url=url)) as client:
            assert (await ask(client, token, widevine(SD)))[:2] == (200, LICENSE)
            assert (await ask(client, token, widevine_renewal()))[:2] == (200, LICENSE)
            entitle(world, content_id="other")
            assert (await ask(client, token, widevine(SD)))[0] == 403
        entitle(world)
        wrong = SecretBytes(bytes(64).hex().encode())
        async with door_to(world, a_drmtoday(url=url, secret=wrong)) as client:
            assert (await ask(client, token, widevine(SD)))[0] == 403
        async with door_to(world, a_drmtoday(url=url, merchant="other")) as client:
            assert (await ask(client, token, widevine(SD)))[0] == 403
    assert service.said == ["", "", "asset", "signature", "merchant"]
    assert not any(q.is_checked_upstream for _, _, q in world.asker.asked)  # type: ignore[attr-defined]


async def test_a_plain_proxy_gets_the_message_and_its_own_headers(world: World) -> None:
    entitle(world)
    _, token = open_session(world)
    service = stand_in.proxy(API_KEY)
    message = playready(SD)
    async with stand_in.listening(service) as url:
        upstream = a_proxy({"X-Api-Key": API_KEY}, url=url)
        async with door_to(world, upstream, "playready") as client:
            answered = await ask(
                client,
                token,
                message,
                "playready",
                **{"Content-Type": "text/xml; charset=utf-8", "Cookie": "a=b", "X-Api-Key": "mine"},
            )
        assert answered[:2] == (200, LICENSE)
        async with door_to(world, a_proxy({"X-Api-Key": "x"}, url=url), "playready") as client:
            assert (await ask(client, token, message, "playready"))[0] == 403
    sent = service.headers[0]
    assert service.messages[0] == message
    assert (sent["Content-Type"], sent["X-Api-Key"]) == ("text/xml", API_KEY)
    assert "AcquireLicense" in sent["SOAPAction"]
    assert "Cookie" not in sent
    assert not any(name.lower().startswith(("authorization", "x-forwarded")) for name in sent)


@pytest.mark.parametrize(
    ("reason", "status"), [("tier", 403), ("foreign-key", 403), ("subscription", 402)]
)
async def test_nothing_goes_upstream_without_our_own_yes(
    world: World, reason: str, status: int
) -> None:
    world.asker.answers[GetEntitlement] = lambda _: Refused(status=status, reason=reason)
    _, token = open_session(world)
    async with (
        stand_in.listening(service := an_axinom_stand_in(world)) as url,
        door_to(world, an_axinom(url=url)) as client,
    ):
        assert (await ask(client, token, widevine(SD)))[:2] == (status, reason)
        assert (await ask(client, "forged", widevine(SD)))[:2] == (401, "token")
        assert (await ask(client, token, b""))[:2] == (400, "message")
        assert (await ask(client, token, bytes(70_000)))[:2] == (413, "too-large")
        assert (await ask(client, token, widevine(SD), "fairplay"))[:2] == (501, "no-upstream")
    assert service.messages == []


async def test_a_message_that_names_no_key_is_told_so_to_the_agent(world: World) -> None:
    entitle(world)
    _, token = open_session(world)
    async with (
        stand_in.listening(service := stand_in.proxy(API_KEY)) as url,
        door_to(world, a_proxy({"X-Api-Key": API_KEY}, url=url)) as client,
    ):
        for message in (widevine_renewal(), b"\x08\x04"):
            assert (await ask(client, token, message))[0] == 200
    asked = [q for _, _, q in world.asker.asked if isinstance(q, GetEntitlement)]
    # A plain proxy checks nothing, but a request for its certificate asks for no key.
    assert [(q.key_ids, q.is_checked_upstream) for q in asked] == [((), False), ((), True)]
    assert len(service.messages) == 2


def _answering(status: int, body: bytes = b"", **headers: str) -> Any:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("misbehave", "system", "told"),
    [
        (_answering(400), "widevine", (403, "upstream-refused")),
        (
            _answering(500, b"<Fault/>", **{"Content-Type": "text/xml"}),
            "playready",
            (403, "upstream-refused"),
        ),
        (_answering(500), "playready", (503, "upstream-unavailable")),
        (_answering(503), "widevine", (503, "upstream-unavailable")),
        (_answering(429), "widevine", (503, "upstream-unavailable")),
        (_answering(401), "widevine", (502, "upstream-unavailable")),
        (
            _answering(302, Location="http://169.254.169.254/"),
            "widevine",
            (502, "upstream-unavailable"),
        ),
        (_answering(307, Location="/AcquireLicense"), "widevine", (502, "upstream-unavailable")),
        (_answering(200, bytes(300_000)), "widevine", (502, "upstream-unavailable")),
    ],
)
async def test_whatever_an_upstream_answers_is_told_plainly(
    world: World, misbehave: Any, system: DRMSystem, told: tuple[int, str]
) -> None:
    entitle(world)
    _, token = open_session(world)
    service = stand_in.proxy(API_KEY)
    service.misbehave = misbehave
    async with (
        stand_in.listening(service) as url,
        door_to(world, a_proxy(url=url), system) as client,
    ):
        status, reason, answer = await ask(client, token, b"message", system)
    assert (status, reason) == told
    assert ("Retry-After" in answer.headers) == (status in {502, 503})
    assert len(service.messages) == 1, "posted once: who asked asks again"


async def test_an_upstream_that_is_away_or_too_slow_is_503(world: World) -> None:
    entitle(world)
    _, token = open_session(world)
    service = stand_in.proxy(API_KEY)
    never = asyncio.Event()

    async def sleep(_: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    service.misbehave = sleep
    async with stand_in.listening(service) as url:
        async with door_to(world, a_proxy(url=url), upstream_deadline_ms=100) as client:
            assert (await ask(client, token, b"m"))[:2] == (503, "upstream-unavailable")
        never.set()
    async with door_to(world, a_proxy(url=url)) as client:
        assert (await ask(client, token, b"m"))[:2] == (503, "upstream-unavailable")


@pytest.mark.parametrize(
    ("said", "passed_on"),
    [
        ("text/xml; charset=utf-8", "text/xml"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
    ],
)
async def test_an_answer_is_never_what_a_browser_would_run(
    world: World, said: str, passed_on: str
) -> None:
    entitle(world)
    _, token = open_session(world)
    service = stand_in.proxy(API_KEY)
    service.misbehave = _answering(200, b"<script/>", **{"Content-Type": said})
    async with stand_in.listening(service) as url, door_to(world, a_proxy(url=url)) as client:
        _, _, answer = await ask(client, token, b"m")
    assert answer.content_type == passed_on
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_fairplays_certificate_is_given_where_there_is_one(world: World) -> None:
    _, token = open_session(world)
    upstream = a_proxy(certificate=Certificate(b"a certificate"))
    async with door_to(world, upstream, "fairplay") as client:
        async with client.get(f"/s/{token}/certificate/fairplay") as answer:
            assert (answer.status, await answer.read()) == (200, b"a certificate")
        async with client.get("/s/forged/certificate/fairplay") as answer:
            assert answer.status == 401
    async with (
        door_to(world, a_proxy(), "fairplay") as client,
        client.get(f"/s/{token}/certificate/fairplay") as answer,
    ):
        assert answer.status == 501
