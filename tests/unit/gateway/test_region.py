from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec
import pytest

from gateway.region import Regions
from schemas.sessions import OpenSession
from tests.gateway_fakes import World
from tests.unit.gateway.answering import PROFILE_ID, let_all_answer
from tests.unit.gateway.mmdb import one_network_database
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


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "regions.mmdb"
    found = {"country": {"iso_code": "FR"}, "autonomous_system_number": 64_500}
    file.write_bytes(one_network_database("203.0.113.0/24", found))
    return file


def test_an_address_is_found_in_the_database(database: Path) -> None:
    regions = Regions(database, "DE")
    found = regions.locate("203.0.113.77")
    assert (found.region, found.asn, found.network) == ("FR", 64_500, "203.0.113.0/24")
    assert regions.locate("::ffff:203.0.113.77") == found
    assert regions.locate("198.51.100.1").region == ""
    assert regions.locate("2001:db8::1").region == ""
    assert regions.locate("127.0.0.1").region == "DE"
    regions.close()


@pytest.mark.parametrize("headers", SPOOFS)
async def test_no_header_moves_a_viewer_to_another_region(
    world: World, database: Path, headers: dict[str, str]
) -> None:
    world.config = msgspec.structs.replace(world.config, region_database=database)
    let_all_answer(world)
    body = {"content_id": "tears", "profile_id": PROFILE_ID, "device": {"device_id": "tv"}}
    async with running_gateway(world) as client:
        token = bearer(world.access_token())
        async with client.post("/v1/sessions", json=body, headers=token | headers) as answer:
            assert answer.status == 201
    (asked,) = (q for _, _, q in world.asker.asked if isinstance(q, OpenSession))
    assert (asked.region, asked.network) == ("DE", "127.0.0.0/24")


async def test_a_client_can_claim_no_region(world: World, client: aiohttp.ClientSession) -> None:
    let_all_answer(world)
    body = {
        "content_id": "tears",
        "profile_id": PROFILE_ID,
        "device": {"device_id": "tv"},
        "region": "FR",
    }
    headers = bearer(world.access_token())
    async with client.post("/v1/sessions", json=body, headers=headers) as answer:
        assert answer.status == 400
