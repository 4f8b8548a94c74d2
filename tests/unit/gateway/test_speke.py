from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.license.key_delivery import PackagerTrust
from schemas.envelope import Refused
from schemas.packaging import RequestPackagerKeys
from schemas.tokens import AdminRole
from streams.topics import CONTENT_KEYS
from tests.contracts.gateway_thread import ServedGateway, served_gateway
from tests.gateway_fakes import World
from tests.unit.cpix.packager import a_packager, a_request, key_id, plain_keys
from tests.unit.license.desk import DeskOfKeys

PATH = "/v1/keys/speke"
PACKAGER = a_packager()
CERTIFICATES = (PACKAGER.certificate,)


def headers_of(
    world: World, role: AdminRole = "packager", changes: Mapping[str, str] | None = None
) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {world.admin_token(role)}",
        "Content-Type": "application/xml",
        "X-Speke-Version": "2.0",
        **(changes or {}),
    }


@pytest.fixture
def desk(world: World) -> DeskOfKeys:
    """The license agent's key desk behind the gateway; it knows one packager."""
    desk = DeskOfKeys(PackagerTrust([PACKAGER.x509]))
    world.asker.answers[RequestPackagerKeys] = desk.ask
    return desk


async def post(
    client: aiohttp.ClientSession, headers: dict[str, str], body: bytes
) -> tuple[int, Any, Any]:
    async with client.post(PATH, headers=headers, data=body) as answer:
        if answer.content_type == "application/xml":
            return answer.status, await answer.read(), answer.headers
        return answer.status, await answer.json(content_type=None), answer.headers


async def test_a_packager_gets_keys_that_it_alone_can_open(
    world: World, client: aiohttp.ClientSession, desk: DeskOfKeys
) -> None:
    body = a_request(certificates=CERTIFICATES)
    status, answer, headers = await post(client, headers_of(world), body)
    assert status == 200
    assert headers["X-Speke-Version"] == "2.0"
    assert headers["X-Speke-User-Agent"]
    assert headers["Cache-Control"] == "no-store"
    kept = {key.key_id: key.key for key in desk.ring.for_packager("tears", ("audio", "sd", "hd"))}
    assert {kid.hex: key for kid, key in PACKAGER.open(answer).items()} == kept
    assert set(kept) == {key_id(number).hex for number in (1, 2, 3)}
    ((topic, key, question),) = world.asker.asked
    assert (topic, key) == ("key.requests.v1", "tears")
    assert isinstance(question, RequestPackagerKeys)
    assert question.sender == "test"


async def test_a_token_for_some_contents_gets_no_keys_of_others(
    world: World, client: aiohttp.ClientSession, desk: DeskOfKeys
) -> None:
    body = a_request(certificates=CERTIFICATES)
    for contents, expected in ((("news-*",), 403), (("news-*", "tears"), 200)):
        token = {"Authorization": f"Bearer {world.admin_token('packager', contents)}"}
        status, answer, _ = await post(client, headers_of(world, changes=token), body)
        assert status == expected
        if status == 403:
            assert answer["reason"] == "content"
            assert world.asker.asked == []
            assert len(desk.ring) == 0


async def test_the_same_content_has_the_same_keys_under_the_ids_that_came_first(
    world: World, client: aiohttp.ClientSession, desk: DeskOfKeys
) -> None:
    _, first, _ = await post(client, headers_of(world), a_request(certificates=CERTIFICATES))
    _, again, _ = await post(
        client, headers_of(world), a_request(certificates=CERTIFICATES, first_key=7)
    )
    assert PACKAGER.open(again) == PACKAGER.open(first)
    assert len(desk.publisher.values(CONTENT_KEYS)) == 3


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (a_request(), 422, "certificate"),
        (a_request(certificates=(a_packager("stranger").certificate,)), 422, "certificate"),
        (a_request({"VIDEO": "<cpix:VideoFilter/>"}, certificates=CERTIFICATES), 422, "shared-key"),
        (a_request(certificates=CERTIFICATES, content_id="Tears!"), 422, "content-id"),
        (b"<a/>", 422, "cpix"),
        (b"{}", 400, "xml"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', 400, "xml"),
        (b"<a>" * 30_000, 413, "too-large"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_reason(
    world: World,
    client: aiohttp.ClientSession,
    desk: DeskOfKeys,
    body: bytes,
    status: int,
    reason: str,
) -> None:
    told, problem, headers = await post(client, headers_of(world), body)
    assert (told, problem["reason"]) == (status, reason)
    assert headers["Content-Type"] == "application/problem+json"
    assert desk.publisher.values(CONTENT_KEYS) == []


async def test_only_packagers_and_operators_may_ask(
    world: World, client: aiohttp.ClientSession, desk: DeskOfKeys
) -> None:
    body = a_request(certificates=CERTIFICATES)
    for role in ("catalog", "billing", "edge", "ingest"):
        assert (await post(client, headers_of(world, role), body))[0] == 403
    for authorization in ("", "Bearer x", f"Bearer {world.access_token()}"):
        given_headers = headers_of(world, changes={"Authorization": authorization})
        assert (await post(client, given_headers, body))[0] == 401
    assert world.asker.asked == []
    assert (await post(client, headers_of(world, "operator"), body))[0] == 200


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"X-Speke-Version": "1.0"}, 422, "speke-version"),
        ({"X-Speke-Version": ""}, 422, "speke-version"),
        ({"Content-Type": "application/json"}, 415, "media-type"),
        ({"Content-Encoding": "br"}, 415, "encoding"),
    ],
)
async def test_it_must_be_speke_2_in_xml(
    world: World,
    client: aiohttp.ClientSession,
    desk: DeskOfKeys,
    changes: dict[str, str],
    status: int,
    reason: str,
) -> None:
    body = a_request(certificates=CERTIFICATES)
    told, problem, _ = await post(client, headers_of(world, changes=changes), body)
    assert (told, problem["reason"]) == (status, reason)


async def test_refusals_and_silence_of_the_agent_are_told(
    world: World, client: aiohttp.ClientSession
) -> None:
    body = a_request(certificates=CERTIFICATES)
    status, problem, headers = await post(client, headers_of(world), body)
    assert (status, problem["reason"]) == (503, "no-answer")
    assert headers["Retry-After"]
    refused = Refused(status=409, reason="key-id", detail="another key's")
    world.asker.answers[RequestPackagerKeys] = lambda _: refused
    status, problem, _ = await post(client, headers_of(world), body)
    assert (status, problem["reason"], problem["detail"]) == (409, "key-id", "another key's")


async def test_where_the_operator_allows_it_keys_come_in_clear(
    world: World, client: aiohttp.ClientSession
) -> None:
    desk = DeskOfKeys(PackagerTrust(allows_plain=True))
    world.asker.answers[RequestPackagerKeys] = desk.ask
    status, answer, _ = await post(client, headers_of(world), a_request())
    assert status == 200
    kept = desk.ring.for_packager("tears", ("audio", "sd", "hd"))
    assert list(plain_keys(answer).values()) == [key.key for key in kept]


@pytest.fixture(scope="module")
def served() -> Iterator[ServedGateway]:
    with served_gateway() as gateway:
        yield gateway


PIECES = a_request(certificates=CERTIFICATES).replace(b"><", b">\n<").split(b"\n")
garbage = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join),
    st.permutations(PIECES).map(b"".join),
    st.tuples(st.integers(0, len(b"".join(PIECES)) - 1), st.integers(1, 255)).map(
        lambda flip: _flipped(b"".join(PIECES), *flip)
    ),
)


def _flipped(body: bytes, at: int, bits: int) -> bytes:
    return body[:at] + bytes([body[at] ^ bits]) + body[at + 1 :]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=garbage)
def test_garbage_never_breaks_the_gateway_and_gets_no_key_in_clear(
    served: ServedGateway, body: bytes
) -> None:
    """Whatever is answered with keys opens with the one certificate that the operator named."""
    desk = DeskOfKeys(PackagerTrust([PACKAGER.x509]))
    served.world.asker.answers[RequestPackagerKeys] = desk.ask
    answer = requests.post(
        served.url + PATH, data=body, headers=headers_of(served.world), timeout=20
    )
    assert answer.status_code in {200, 400, 422}, answer.text
    if answer.status_code != 200:
        assert len(desk.ring) == 0
        return
    content = answer.content.partition(b'contentId="')[2].partition(b'"')[0].decode()
    tiers = tuple(key.tier for key in desk.publisher.values(CONTENT_KEYS))
    kept = {key.key for key in desk.ring.for_packager(content, tiers)}
    assert set(PACKAGER.open(answer.content).values()) == kept
    assert b"PlainValue" not in answer.content
