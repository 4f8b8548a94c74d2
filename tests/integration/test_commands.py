"""The operator's commands against a whole deployment."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from infra.clickhouse.client import open_client, parse_url
from infra.workers import WORKER_NAMES
from schemas import codec
from schemas.errors import InvalidMessageError
from schemas.events import Heartbeat, Stamp
from schemas.ids import uuid7
from streams.clock import system_clock
from streams.dead_letters import publish_dead_letter
from streams.producer import Publisher, partition_of
from streams.topics import PLAYBACK_EVENTS
from tests.integration.commands import (
    CONTENT_ID,
    Operator,
    eventually,
)
from tests.unit.cli.letters import Raw

TOPIC = PLAYBACK_EVENTS.name


def a_heartbeat() -> Heartbeat:
    now_ms = system_clock()
    return Heartbeat(
        session_id=str(uuid7(now_ms, secrets.token_bytes(10))),
        id=str(uuid7(now_ms, secrets.token_bytes(10))),
        source="operator",
        sequence=0,
        at=datetime.now(UTC),
        stamp=Stamp(received_at_ms=now_ms, via="ingest"),
    )


async def is_stored(operator: Operator, session_id: str) -> bool:
    query = f"SELECT count() FROM events WHERE session_id = '{session_id}'"  # noqa: S608 - a UUID of ours
    return await operator.rows(query) == [(1,)]


async def publish(operator: Operator, event: Heartbeat) -> None:
    publisher = Publisher(operator.deployment.broker(), client_id="test")
    await publisher.start()
    try:
        await publisher.publish(PLAYBACK_EVENTS, event.session_id, event)
    finally:
        await publisher.stop()


async def test_status_tells_components_groups_and_disk(operator: Operator) -> None:
    status = (await operator.done("status", "--json")).json
    assert status["is_running"]
    components = {each["name"]: each for each in status["components"]}
    assert set(WORKER_NAMES) <= set(components)
    assert all(components[name]["address"] for name in (*WORKER_NAMES, "gateway", "kafka"))
    assert {"license", "analytics.sink"} <= {each["consumer_group"] for each in status["groups"]}
    assert any(each["last_committed_at_ms"] for each in status["groups"])
    assert {"kafka", "content"} <= {each["folder"] for each in status["folders"]}
    assert "edge-alpha" in (await operator.done("status")).out


async def test_doctor_finds_a_sound_deployment_sound(operator: Operator) -> None:
    findings = (await operator.run("doctor", "--json")).json
    wrong = [f for f in findings if not f["is_ok"] and f["check"] != "dead letters"]
    assert wrong == []
    assert len(findings) > 20


async def test_doctor_finds_an_open_key_file(operator: Operator) -> None:
    file = operator.deployment.keys / "root.pub"
    file.chmod(0o644)
    try:
        said = await operator.run("doctor")
    finally:
        file.chmod(0o600)
    assert said.code == 1
    assert f"chmod go= {file}" in said.out


async def test_content_is_listed_with_key_ids_and_never_a_key(operator: Operator) -> None:
    (title,) = (await operator.done("content", "list", "--json")).json
    assert (title["content_id"], title["title"], title["listed"]) == (CONTENT_ID, "The Tide", "yes")
    keys = (await operator.done("content", "keys", CONTENT_ID, "--json")).json
    assert {key["tier"] for key in keys} == {"audio", "sd"}
    assert all(set(key) == {"key_id", "tier", "period", "kek_version", "created"} for key in keys)
    assert (await operator.run("content", "keys", "no-such")).code == 1


async def test_an_operator_rotates_by_one_command(operator: Operator) -> None:
    """And sees before, meanwhile and after where it stands; no command shows a key."""
    (before,) = [
        kek
        for kek in (await operator.done("keys", "list", "--json")).json
        if kek["state"] == "current"
    ]
    plan = (await operator.done("keys", "rotate", "kek", "--dry-run", "--json")).json
    assert plan["makes_version"]
    assert plan["retires"] == [before["version"]]
    assert plan["content_keys"] == before["content_keys"] > 0
    assert (await operator.done("keys", "list", "--json")).json[-1] == before
    done = (await operator.done("keys", "rotate", "kek", "--json")).json
    assert done["rewrapped"] == before["content_keys"]
    assert done["retired"] == [before["version"]]
    keks = {kek["version"]: kek for kek in (await operator.done("keys", "list", "--json")).json}
    assert keks[before["version"]]["state"] == "retired"
    assert keks[done["version"]]["content_keys"] == before["content_keys"]
    keys = (await operator.done("content", "keys", CONTENT_ID, "--json")).json
    assert {key["kek_version"] for key in keys} == {done["version"]}
    findings = (await operator.run("doctor", "--json")).json
    assert [f["is_ok"] for f in findings if f["check"] == "key rotation"] == [True]


async def test_a_subscription_decides_what_explain_says(operator: Operator) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    account_id = await operator.sign_up(email)
    ask = ("license", "explain", "--email", email, "--content", CONTENT_ID, "--device", "tv")
    change = ("subscriptions", "set", "--email", email, "--plan", "standard")
    assert (await operator.done(*ask, "--json")).json["verdict"]["reason"] == "unknown-profile"
    await _add_profile(operator, email)
    assert (await operator.done(*ask, "--json")).json["verdict"]["reason"] == "subscription"
    assert account_id in (await operator.done(*change, "--dry-run")).out
    assert (await operator.done(*ask, "--json")).json["verdict"]["reason"] == "subscription"
    assert (await operator.done(*change, "--json")).json["plan"] == "standard"
    granted = (await operator.done(*ask, "--json")).json
    assert granted["verdict"]["reason"] is None
    assert granted["verdict"]["tiers"] == ["audio", "sd"]
    assert all(finding["passed"] for finding in granted["findings"])
    await operator.done(*change, "--state", "paused")
    assert "denied: subscription" in (await operator.done(*ask)).out
    shown = (await operator.done("accounts", "show", account_id, "--json")).json
    assert shown["account"]["subscription"]["state"] == "paused"
    assert email not in (await operator.done("accounts", "list", "--json")).out


async def test_an_operator_sees_what_is_recommended_and_why(operator: Operator) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    await operator.sign_up(email)
    profile_id = await _add_profile(operator, email)
    change = ("subscriptions", "set", "--email", email, "--plan", "standard")
    await operator.done(*change)
    items = (await operator.done("recommend", "for", profile_id, "--json")).json
    assert CONTENT_ID in {item["content_id"] for item in items}
    assert "New" in (await operator.done("recommend", "for", profile_id)).out
    explained = (await operator.done("recommend", "why", profile_id, CONTENT_ID, "--json")).json
    assert {each["expert"] for each in explained["experts"]} >= {"last", "week", "markov"}
    assert (
        "above the mean title"
        in (await operator.done("recommend", "why", profile_id, CONTENT_ID)).out
    )
    assert (await operator.done("recommend", "similar", CONTENT_ID, "--json")).json == []
    for wrong in (("for", "nobody"), ("similar", "unknown"), ("why", profile_id, "unknown")):
        said = await operator.run("recommend", *wrong)
        assert (said.code, "Traceback" in said.err) == (1, False)


async def _add_profile(operator: Operator, email: str) -> str:
    async with aiohttp.ClientSession(operator.deployment.gateway_url()) as http:
        grant = {"grant_type": "password", "username": email, "password": "correct horse"}
        async with http.post("/v1/tokens", json=grant) as response:
            token = (await response.json())["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        async with http.post("/v1/profiles", json={"name": "Ada"}, headers=bearer) as response:
            assert response.status == 201
            return str((await response.json())["profile_id"])


async def test_what_is_revoked_is_denied_until_it_is_reinstated(operator: Operator) -> None:
    model = ("model", "Broken: TV")
    account_id = await operator.sign_up(f"{secrets.token_hex(4)}@example.org")
    about = ("--account", account_id, "--content", CONTENT_ID, "--device", "tv")
    explain = ("license", "explain", *about, "--model", model[1], "--json")

    async def reason() -> str | None:
        said = (await operator.done(*explain)).json
        return str(said["verdict"]["reason"])

    before = await reason()
    assert before != "revoked"
    tried = (await operator.done("license", "revoke", *model, "--dry-run", "--json")).json
    assert tried == {"revoked": False, "session_ids": []}
    assert (await operator.done("license", "revocations", "--json")).json == []
    await operator.done("license", "revoke", *model, "--reason", "its keys are public")
    (listed,) = (await operator.done("license", "revocations", "--json")).json
    assert (listed["kind"], listed["subject"], listed["reason"]) == (*model, "its keys are public")
    assert await reason() == "revoked"
    assert "counts again" in (await operator.done("license", "reinstate", *model)).out
    assert await reason() == before
    assert "is not" in (await operator.run("license", "reinstate", *model)).err


async def test_a_token_counts_for_its_role_and_what_it_sends_balances(operator: Operator) -> None:
    token = (await operator.done("admin", "token", "create", "--role", "ingest")).out.strip()
    event = a_heartbeat()
    body = codec.encode(event)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(operator.deployment.gateway_url()) as http:
        async with http.post("/v1/events", data=body, headers=headers) as response:
            assert response.status == 202, await response.text()
        path = "/v1/admin/accounts/x/subscription"
        change = {"plan": "basic", "state": "active"}
        async with http.put(path, json=change, headers=headers) as response:
            assert response.status == 403

    async def balances() -> bool:
        lines = (await operator.done("ledger", "--topic", TOPIC, "--json")).json
        return any(line["accepted"] and line["stored"] for line in lines)

    await eventually(lambda: is_stored(operator, event.session_id))
    # A gateway tells a minute 15 s after its end, and whatever is left when it ends itself.
    await operator.end_kindly("gateway")
    await eventually(balances)


async def test_a_replay_adds_what_is_missing_and_doubles_nothing(operator: Operator) -> None:
    kept, missing = a_heartbeat(), a_heartbeat()
    for event in (kept, missing):
        await publish(operator, event)
        await _wait_stored(operator, event)
    await _delete_rows(operator, missing.session_id)
    window = ("replay", TOPIC, "--from", "1h", "--json")
    found = (await operator.done(*window, "--dry-run")).json
    assert found["added"] >= 1
    assert not await is_stored(operator, missing.session_id)
    assert (await operator.done(*window)).json["added"] >= 1
    assert await is_stored(operator, missing.session_id)
    assert await is_stored(operator, kept.session_id)
    assert (await operator.done(*window)).json["added"] == 0


async def _wait_stored(operator: Operator, event: Heartbeat) -> None:
    await eventually(lambda: is_stored(operator, event.session_id))


async def _delete_rows(operator: Operator, session_id: str) -> None:
    client = open_client(parse_url(operator.deployment.clickhouse_url()))
    client.command("DELETE FROM events_raw WHERE session_id = %s", parameters=[session_id])
    assert not await is_stored(operator, session_id)


async def test_a_replay_into_an_agent_is_refused(operator: Operator) -> None:
    said = await operator.run("replay", "account.requests.v1", "--to-group", "account")
    assert said.code == 1
    assert "requests count once" in said.err
    assert (await operator.run("replay", "no.such.topic")).code == 2
    decisions = (await operator.done("replay", "license.decisions.v1", "--json")).json
    assert decisions["added"] == 0


async def test_a_dead_letter_goes_back_once_and_is_stored_once(operator: Operator) -> None:
    event = a_heartbeat()
    raw = Raw(
        key=event.session_id.encode(),
        value=codec.encode(event),
        partition=partition_of(event.session_id, PLAYBACK_EVENTS.partitions),
        offset=1 << 40,
    )
    reason = f"test-{secrets.token_hex(4)}"
    await _bury(operator, raw, reason)
    only = ("--topic", TOPIC, "--reason", reason)
    (group,) = (await operator.done("dead-letters", "list", *only, "--json")).json
    assert (group["letters"], group["agent"]) == (1, "test")
    (letter,) = (await operator.done("dead-letters", "list", *only, "--each", "--json")).json
    shown = (await operator.done("dead-letters", "show", letter["id"])).json
    assert shown["value"]["id"] == event.id
    assert shown["redrive"] == "may go back"
    (dry,) = (await operator.done("dead-letters", "redrive", *only, "--dry-run", "--json")).json
    assert dry["what"] == "would be driven back"
    assert not await is_stored(operator, event.session_id)
    await operator.done("dead-letters", "redrive", letter["id"])
    await eventually(lambda: is_stored(operator, event.session_id))
    assert (await operator.done("dead-letters", "redrive", *only, "--json")).json == []
    shown = (await operator.done("dead-letters", "show", letter["id"])).json
    assert shown["handled"]["outcome"] == "redriven"


async def _bury(operator: Operator, raw: Raw, reason: str) -> None:
    publisher = Publisher(operator.deployment.broker(), client_id="test")
    await publisher.start()
    try:
        error = InvalidMessageError(reason, "said the test")
        now_ms = system_clock()
        await publish_dead_letter(
            publisher, PLAYBACK_EVENTS, raw, error, failed_at_ms=now_ms, agent="test"
        )
    finally:
        await publisher.stop()


async def test_poison_is_told_by_doctor_stays_and_can_be_dropped(operator: Operator) -> None:
    publisher = Publisher(operator.deployment.broker(), client_id="test")
    await publisher.start()
    await publisher.publish_raw(TOPIC, b"nobody", b"\xff poison", {}, 3)
    await publisher.stop()
    only = ("--topic", TOPIC, "--reason", "not-json")

    async def is_buried() -> bool:
        return bool((await operator.done("dead-letters", "list", *only, "--json")).json)

    await eventually(is_buried)
    said = await operator.run("doctor", "--json")
    assert said.code == 1
    assert any(f["check"] == "dead letters" and not f["is_ok"] for f in said.json)
    plan = (await operator.done("dead-letters", "redrive", *only, "--json")).json
    assert all("cannot read it" in line["what"] for line in plan)

    async def is_empty() -> bool:
        # Each agent that reads the topic buries it in its own time.
        await operator.done("dead-letters", "drop", *only)
        return not await is_buried()

    await eventually(is_empty)
    assert (await operator.done("dead-letters", "list", *only, "--all", "--json")).json


async def test_letters_are_only_handled_when_named(operator: Operator) -> None:
    assert (await operator.run("dead-letters", "drop")).code == 2
    assert (await operator.run("dead-letters", "list", "--topic", "no.such")).code == 2


async def test_simulated_viewers_watch_and_nothing_is_lost(operator: Operator) -> None:
    begun_ms = system_clock()
    run = ("simulate", "--viewers", "3", "--rate", "3", "--minutes", "0.2", "--segments")
    report = (await operator.done(*run, "--json")).json
    assert report["sessions_opened"] == report["licenses"] >= 3
    assert report["events_accepted"] == report["events_sent"] > 10
    assert report["events_lost"] == report["events_refused"] == 0
    assert report["segments"] > 0
    ours = f"startsWith(source, 'simulated-') AND toUnixTimestamp64Milli(received_at) >= {begun_ms}"
    query = f"SELECT count() FROM events WHERE {ours}"  # noqa: S608 - a number

    async def are_stored() -> bool:
        return await operator.rows(query) == [(report["events_sent"],)]

    await eventually(are_stored)
    audit = (await operator.done("license", "audit", "verify", "--json")).json
    assert audit["breaks"] == []
    assert audit["granted"] >= report["sessions_opened"]


async def test_a_changed_policy_is_explained_and_simulated_on_real_requests(
    operator: Operator, tmp_path: Path
) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    await operator.sign_up(email)
    await _add_profile(operator, email)
    change = ("subscriptions", "set", "--email", email, "--plan", "standard")
    await operator.done(*change)
    run = ("simulate", "--viewers", "2", "--rate", "2", "--minutes", "0.1", "--json")
    assert (await operator.done(*run)).json["licenses"] >= 2
    present = (await operator.done("license", "policy")).out
    same, other = tmp_path / "same.toml", tmp_path / "other.toml"
    same.write_text(present)
    version = (await operator.done("license", "policy", "--json")).json["version"]
    other.write_text(
        present.replace(version, "other", 1).replace(
            "regions_refused = []", 'regions_refused = ["DE"]', 1
        )
    )
    unchanged = (await operator.done("license", "simulate", str(same), "--json")).json
    assert unchanged["total"] == unchanged["read"] > 0
    assert unchanged["unreadable"] == 0
    assert not any(unchanged["changes"].values())
    changed = (await operator.done("license", "simulate", str(other), "--json")).json
    assert changed["changes"]["loses"] >= 2
    assert changed["by_rule"]["region"]["loses"] == changed["changes"]["loses"]
    assert CONTENT_ID in changed["by_title"]
    assert (await operator.run("license", "simulate", str(other), "--fail-on-loss")).code == 1
    ask = ("license", "explain", "--email", email, "--content", CONTENT_ID, "--device", "tv")
    assert "granted: audio, sd" in (await operator.done(*ask)).out
    assert "denied: region" in (await operator.done(*ask, "--policy", str(other))).out
    assert (await operator.done("license", "policy", "check", str(other))).out


async def test_viewers_are_not_simulated_elsewhere_by_mistake(operator: Operator) -> None:
    away = ("simulate", "--gateway", "http://192.0.2.1:8080")
    assert (await operator.run(*away)).code == 2
    assert (await operator.done(*away, "--yes-really", "--dry-run")).out


async def test_what_cdns_carry_and_cost_is_set_and_told(operator: Operator) -> None:
    names = [cdn.name for cdn in operator.deployment.cdns()]
    assert [each["cdn"] for each in (await operator.done("cdn", "list", "--json")).json] == names
    change = ("cdn", "set", names[-1], "--commit", "5", "--price", "0.008")
    planned = (await operator.done(*change, "--dry-run", "--json")).json
    assert not planned["set"]
    set_ = (await operator.done(*change, "--json")).json["settings"]
    assert (set_["commit_mbps"], set_["price_per_gb"]) == (5, 0.008)
    drained = (await operator.done("cdn", "drain", names[-1], "--dry-run", "--json")).json
    assert drained["settings"]["is_drained"]
    known = (await operator.done("cdn", "list", "--json")).json[-1]
    assert (known["commit_mbps"], known["drained"]) == (5, False)
    costs = (await operator.done("cdn", "cost", "--json")).json
    assert [each["cdn"] for each in costs] == names
    assert costs[-1]["commit_mbps"] == 5
    refused = await operator.run("cdn", "drain", "nobody")
    assert refused.code == 1
    assert names[0] in refused.err
