from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from gateway.forwarding import TrustedProxies
from gateway.region import Regions
from schemas.sessions import OpenSession
from tests.gateway_fakes import World
from tests.unit.gateway.answering import PROFILE_ID, let_all_answer
from tests.unit.gateway.mmdb import write_database
from tests.unit.gateway.running import running_gateway
from tests.unit.gateway.wire_events import bearer

SPOOFS = [
    {"X-Forwarded-For": "203.0.113.7"},
    {"X-Forwarded-For": "203.0.113.7, 127.0.0.1"},
    {"X-Forwarded-For": "[::ffff:203.0.113.7]:80"},
    {"X-Real-IP": "203.0.113.7"},
    {"Forwarded": 'for="203.0.113.7"'},
    {"CF-Connecting-IP": "203.0.113.7", "CF-IPCountry": "FR"},
    {"True-Client-IP": "203.0.113.7"},
    {"X-Client-IP": "203.0.113.7"},
]
LOOPBACK = TrustedProxies(networks=(ip_network("127.0.0.0/8"),))
FRANCE: dict[str, Any] = {"country": {"iso_code": "FR"}, "autonomous_system_number": 64_500}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    networks = {"203.0.113.0/24": FRANCE, "2001:db8:7::/48": {"country": {"iso_code": "CH"}}}
    return write_database(tmp_path / "regions.mmdb", networks)


@pytest.fixture
def anonymizers(tmp_path: Path) -> Path:
    networks = {
        "203.0.113.64/26": {"is_anonymous": True, "is_anonymous_vpn": True},
        "198.51.100.0/24": {"is_hosting_provider": True, "is_tor_exit_node": True},
    }
    kind = "GeoIP2-Anonymous-IP"
    return write_database(tmp_path / "anonymizers.mmdb", networks, kind=kind, ip_version=4)


def test_an_address_is_found_in_the_database(database: Path) -> None:
    regions = Regions(database, "DE")
    found = regions.locate("203.0.113.77")
    assert (found.region, found.asn, found.network) == ("FR", 64_500, "203.0.113.0/24")
    assert regions.locate("::ffff:203.0.113.77") == found
    assert regions.locate("2001:db8:7:1::9").region == "CH"
    assert regions.locate("2001:db8:7:1::9").network == "2001:db8:7::/48"
    assert regions.locate("198.51.100.1").region == ""
    assert regions.locate("2001:db8::1").region == ""
    assert regions.locate("127.0.0.1").region == "DE"
    assert regions.locate("").network == regions.locate(None).network == ""
    regions.close()


def test_what_an_address_hides_behind_is_found_in_a_database_of_its_own(
    database: Path, anonymizers: Path
) -> None:
    regions = Regions(database, "DE", anonymizers)
    assert regions.locate("203.0.113.77").anonymizers == ("vpn",)
    assert regions.locate("203.0.113.1").anonymizers == (), "the database names only those"
    assert regions.locate("198.51.100.1").anonymizers == ("hosting", "tor")
    assert regions.locate("2001:db8:7:1::9").anonymizers is None, "it knows IPv4 alone"
    assert regions.locate("garbage").anonymizers is None
    regions.close()


@pytest.mark.parametrize("wrapped", [True, False])
def test_or_in_the_one_of_regions_where_it_has_those_fields(wrapped: bool, tmp_path: Path) -> None:
    flags = {"is_anonymous_vpn": False, "is_hosting_provider": True}
    hosted: dict[str, Any] = FRANCE | ({"traits": flags} if wrapped else flags)
    file = tmp_path / "enterprise.mmdb"
    networks = {"203.0.113.0/25": hosted, "203.0.113.128/25": FRANCE}
    regions = Regions(write_database(file, networks), "DE")
    assert regions.locate("203.0.113.1").anonymizers == ("hosting",)
    assert regions.locate("203.0.113.1").region == "FR"
    assert regions.locate("203.0.113.200").anonymizers is None, "nobody says"
    regions.close()


async def opened_from(world: World, headers: dict[str, str]) -> OpenSession:
    """What the license agent is asked when a session is opened with these headers."""
    let_all_answer(world)
    body = {"content_id": "tears", "profile_id": PROFILE_ID, "device": {"device_id": "tv"}}
    async with running_gateway(world) as client:
        token = bearer(world.access_token())
        async with client.post("/v1/sessions", json=body, headers=token | headers) as answer:
            assert answer.status == 201
    (asked,) = (q for _, _, q in world.asker.asked if isinstance(q, OpenSession))
    return asked


@pytest.mark.parametrize("headers", SPOOFS)
async def test_no_header_moves_a_viewer_to_another_region(
    world: World, database: Path, headers: dict[str, str]
) -> None:
    world.config = msgspec.structs.replace(world.config, region_database=database)
    asked = await opened_from(world, headers)
    assert (asked.region, asked.network) == ("DE", "127.0.0.0/24")


@pytest.mark.parametrize(
    ("headers", "region", "network"),
    [
        ({"X-Forwarded-For": "198.51.100.1, 203.0.113.77"}, "FR", "203.0.113.0/24"),
        ({"X-Forwarded-For": "2001:db8:7:1::9"}, "CH", "2001:db8:7::/48"),
        ({"X-Forwarded-For": "203.0.113.77, 192.0.2.1"}, "", "192.0.2.0/24"),
        ({"X-Forwarded-For": "203.0.113.77, _hidden"}, "", ""),
        ({"Forwarded": "for=203.0.113.77"}, "DE", "127.0.0.0/24"),
        ({"X-Real-IP": "203.0.113.77"}, "DE", "127.0.0.0/24"),
        ({}, "DE", "127.0.0.0/24"),
    ],
)
async def test_a_trusted_proxy_tells_the_address_and_only_its_network_goes_on(
    world: World, database: Path, headers: dict[str, str], region: str, network: str
) -> None:
    world.config = msgspec.structs.replace(
        world.config, region_database=database, trusted_proxies=LOOPBACK
    )
    asked = await opened_from(world, headers)
    assert (asked.region, asked.network) == (region, network)
    told = msgspec.json.encode([question for _, _, question in world.asker.asked])
    assert b"203.0.113.77" not in told
    assert b"2001:db8:7:1::9" not in told


async def test_what_an_address_hides_behind_is_among_the_facts(
    world: World, database: Path, anonymizers: Path
) -> None:
    world.config = msgspec.structs.replace(
        world.config,
        region_database=database,
        anonymizer_database=anonymizers,
        trusted_proxies=LOOPBACK,
    )
    asked = await opened_from(world, {"X-Forwarded-For": "203.0.113.77"})
    assert (asked.region, asked.anonymizers) == ("FR", ("vpn",))


async def test_a_client_can_claim_no_region(world: World, client: aiohttp.ClientSession) -> None:
    let_all_answer(world)
    claims: list[dict[str, Any]] = [{"region": "FR"}, {"anonymizers": []}]
    for claim in claims:
        body: dict[str, Any] = {
            "content_id": "tears",
            "profile_id": PROFILE_ID,
            "device": {"device_id": "tv"},
        }
        headers = bearer(world.access_token())
        async with client.post("/v1/sessions", json=body | claim, headers=headers) as answer:
            assert answer.status == 400
