"""A home that was deleted comes back from its backup: accounts, titles, keys, tastes, playback."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from infra.content.binaries import find_media_tools
from infra.sandbox import running_sandbox
from infra.simulate.manifest import read_manifest
from schemas.ids import base64url
from tests.integration.broker import runtime_folder
from tests.integration.commands import CONTENT_ID, Operator, eventually
from tests.integration.media import make_film

PASSWORD = "correct horse"
NEEDED = (
    *("kafka", "clickhouse", "migrations", "gateway"),
    *("account", "license", "catalog", "recommendation", "analytics"),
)


@pytest.mark.timeout(600)
async def test_a_deleted_home_comes_back_from_its_backup(tmp_path: Path) -> None:
    home, media = tmp_path / "home", tmp_path / "media"
    backup, keys = tmp_path / "backup.gz", tmp_path / "keys.sealed"
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a passphrase of some length\n")
    sealing = ("--keys", str(keys), "--passphrase-file", str(passphrase))
    email = f"{secrets.token_hex(4)}@example.org"
    film = await asyncio.to_thread(
        make_film, find_media_tools(), tmp_path / "film.mp4", seconds=6, size="320x240"
    )
    async with running_sandbox(home, only=NEEDED, runtime=runtime_folder()) as sandbox:
        operator = Operator(sandbox)
        await operator.done(
            "content", "add", str(film), "--title", "The Tide", "--preset", "ultrafast"
        )
        account_id = await operator.sign_up(email)
        await operator.done("subscriptions", "set", "--email", email, "--plan", "standard")
        keys_before = await _play(operator, email, is_new=True)
        said = await _hide(operator, email)
        rebuilt = (await operator.done("recommend", "rebuild", "--from", "30d", "--json")).json
        assert rebuilt["is_live"]
        await operator.done("license", "revoke", "model", "Broken TV")
        arms = ("--arm", "control=stochastic-mpc:0.5", "--arm", "alone=player:0.5")
        await operator.done("experiment", "start", "ceilings", *arms)
        await operator.done("cdn", "set", operator.deployment.cdns()[0].name, "--price", "0.01")
        refused = await operator.run("restore", str(backup))
        assert refused.code != 0
        counts = (await operator.done("backup", str(backup), *sealing, "--with-kek", "--json")).json
        assert all(line["records"] for line in counts if line["topic"] != "watches.v1")
        decisions = await operator.rows("SELECT count() FROM license_decisions")
    shutil.move(home / "content", media)
    shutil.rmtree(home)

    home.mkdir()
    (home / "runtime").symlink_to(runtime_folder().absolute())
    without_keys = await operator.run("restore", str(backup))
    assert "holds no keys" in without_keys.err
    assert not (home / "keys").exists()
    await operator.done("restore", str(backup), *sealing)
    shutil.move(media, home / "content")
    async with running_sandbox(home, only=NEEDED, runtime=runtime_folder()) as sandbox:
        operator = Operator(sandbox)
        shown = (await operator.done("accounts", "show", account_id, "--json")).json
        assert shown["account"]["subscription"]["plan"] == "standard"
        titles = (await operator.done("content", "list", "--json")).json
        assert [title["content_id"] for title in titles] == [CONTENT_ID]
        assert await _play(operator, email, is_new=False) == keys_before
        async with _signed_in(operator, email) as viewer:
            profile = f"/v1/profiles/{viewer.profile_id}"
            assert await viewer.get(f"{profile}/feedback") == said
            rows = await viewer.get(f"{profile}/recommendations")
            order_s = rebuilt["order"]["decided_at_ms"] // 1000
            assert rows["model_version"].endswith(f"+{order_s}")
        (revoked,) = (await operator.done("license", "revocations", "--json")).json
        assert (revoked["kind"], revoked["subject"]) == ("model", "Broken TV")
        (experiment,) = (await operator.done("experiment", "list", "--json")).json
        assert (experiment["experiment"], experiment["state"]) == ("ceilings", "running")
        assert (await operator.done("cdn", "list", "--json")).json[0]["price_per_gb"] == 0.01
        audit = (await operator.done("license", "audit", "verify", "--json")).json
        assert audit["breaks"] == []

        async def are_back() -> bool:
            return await operator.rows("SELECT count() FROM license_decisions") > decisions

        await eventually(are_back)
        again = await operator.run("restore", str(backup))
        assert "stop it first" in again.err
    assert "has records already" in (await operator.run("restore", str(backup))).err


class Viewer:
    """Somebody with one profile, signed in."""

    def __init__(self, http: aiohttp.ClientSession, token: str) -> None:
        self._http = http
        self._token = token
        self.profile_id = ""

    async def get(self, path: str) -> dict[str, Any]:
        return await _sent(self._http, "GET", path, None, self._token)

    async def send(self, method: str, path: str, body: object) -> dict[str, Any]:
        return await _sent(self._http, method, path, body, self._token)


@asynccontextmanager
async def _signed_in(
    operator: Operator, email: str, *, is_new: bool = False
) -> AsyncIterator[Viewer]:
    async with aiohttp.ClientSession(operator.deployment.gateway_url()) as http:
        grant = {"grant_type": "password", "username": email, "password": PASSWORD}
        viewer = Viewer(http, (await _sent(http, "POST", "/v1/tokens", grant, ""))["access_token"])
        if is_new:
            await viewer.send("POST", "/v1/profiles", {"name": "Ada"})
        viewer.profile_id = (await viewer.get("/v1/account"))["profiles"][0]["profile_id"]
        yield viewer


async def _hide(operator: Operator, email: str) -> dict[str, Any]:
    """Hide the film from the profile: all that it says since."""
    async with _signed_in(operator, email) as viewer:
        path = f"/v1/profiles/{viewer.profile_id}/feedback"
        await viewer.send("PUT", f"{path}/{CONTENT_ID}", {"is_hidden": True})
        said = await viewer.get(path)
    assert [each["content_id"] for each in said["titles"]] == [CONTENT_ID]
    return said


async def _play(operator: Operator, email: str, *, is_new: bool) -> dict[str, str]:
    """Sign in, open a session, take its license: keys by key id."""
    async with _signed_in(operator, email, is_new=is_new) as viewer:
        asked = {
            "content_id": CONTENT_ID,
            "profile_id": viewer.profile_id,
            "device": {"device_id": "tv", "model": "tv", "player": "shaka"},
        }
        session = await viewer.send("POST", "/v1/sessions", asked)
    async with aiohttp.ClientSession() as http:
        async with http.get(session["dash_url"]) as response:
            manifest = read_manifest(await response.read())
        kids = [base64url(bytes.fromhex(key_id)) for key_id in manifest.key_ids]
        given = await _sent(
            http, "POST", session["license_url"], {"kids": kids, "type": "temporary"}, ""
        )
        assert len(given["keys"]) == len(kids) > 0
        return {key["kid"]: key["k"] for key in given["keys"]}


async def _sent(
    http: aiohttp.ClientSession, method: str, url: str, body: object, token: str
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.request(method, url, json=body, headers=headers) as response:
        answer: dict[str, Any] = await response.json(content_type=None)
        assert response.status < 300, answer
        return answer
