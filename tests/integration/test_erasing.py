"""An account that watched is erased: everywhere, provably, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.secrecy.topics import found_in_topics
from infra.secrecy.viewing import PROFILE
from tests.integration.viewed import Viewed, a_viewed_deployment

ERASE = ("accounts", "erase", "--json")
COUNTS = (
    "SELECT count(), uniqExact(account_id), uniqExact(profile_id) FROM events_raw FINAL",
    "SELECT count(), uniqExact(account_id), uniqExact(profile_id) FROM sessions_raw FINAL",
    "SELECT count(), uniqExact(profile_id) FROM decisions_raw FINAL WHERE topic = 'watches.v1'",
    "SELECT sum(rows_in) FROM events_by_minute",
)


@pytest.mark.timeout(900)
async def test_an_erased_account_leaves_nothing_personal_and_all_counts(tmp_path: Path) -> None:
    async with a_viewed_deployment(tmp_path / "home") as viewed:
        operator, viewer = viewed.operator, viewed.viewer
        account = ("--account", viewer.account_id)
        before = [await operator.rows(query) for query in COUNTS]
        planned = (await operator.done(*ERASE, *account, "--dry-run")).json
        tables = {each["table"]: each["rows_before"] for each in planned["tables"]}
        assert tables["events_raw"] > 0
        assert tables["decisions_raw"] > 0
        assert [await operator.rows(query) for query in COUNTS] == before
        erased = await operator.run(*ERASE, *account, "--yes", "--wait")
        said = erased.json
        assert (erased.code, said["proof"]["traces"]) == (0, []), said
        assert said["is_proven"]
        assert said["key_is_dropped"]
        assert [await operator.rows(query) for query in COUNTS] == before
        assert (viewer.account_id,) not in await operator.rows(
            "SELECT DISTINCT account_id FROM events_raw"
        )
        assert await operator.rows("SELECT count() FROM events_raw WHERE network != ''") == [(0,)]
        await _is_nobody(viewed)
        audit = await operator.run("license", "audit", "verify", "--json")
        assert audit.code == 0, audit.out
        again = (await operator.run(*ERASE, *account, "--yes")).json
        assert again["was_erased_before"]
        assert again["is_proven"]
        anew = await operator.sign_up(viewer.email)
        assert anew == viewer.account_id


async def _is_nobody(viewed: Viewed) -> None:
    """The old password opens nothing, and no record of any topic says who it was."""
    password = next(n.data for n in viewed.viewer.needles if n.name == "password").decode()
    grant = {"grant_type": "password", "username": viewed.viewer.email, "password": password}
    root = viewed.sandbox.deployment.gateway_url()
    async with viewed.http.post(f"{root}/v1/tokens", json=grant) as response:
        assert response.status == 400
        assert (await response.json())["error"] == "invalid_grant"
    shown = await viewed.operator.run("accounts", "show", viewed.viewer.account_id)
    assert PROFILE not in shown.out
    broker = viewed.sandbox.deployment.broker()
    needles = [n for n in viewed.viewer.needles if n.name == "password"]
    assert await found_in_topics(broker, needles) == {}
