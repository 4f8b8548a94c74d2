"""An experiment by command on a running deployment: arms drawn, applied, recorded and compared."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import pytest

from infra.operations.log_access import publishing
from infra.operations.operator import operator_token
from infra.sandbox import running_sandbox
from schemas.experiments import Experiment
from schemas.ids import uuid7
from streams.clock import system_clock
from streams.experiments import draw
from streams.topics import CATALOG_TITLES, SESSIONS
from tests.builders import a_session, a_title
from tests.integration.broker import runtime_folder
from tests.integration.commands import Operator, eventually
from tests.unit.gateway.wire_events import an_event, bearer

pytestmark = pytest.mark.timeout(400)
COMPONENTS = (
    *("kafka", "clickhouse", "migrations"),
    *("analytics", "fold", "bitrate", "gateway"),
)
NAME = "ceilings"
ARMS = (
    *("--arm", "control=stochastic-mpc:0.4"),
    *("--arm", "quiet=shadow:0.3"),
    *("--arm", "alone=player:0.3"),
)
SESSIONS_COUNT = 60
HARMED_COUNT = 400
SECONDS = 20
PER_POST = 400


@pytest.fixture(scope="module")
async def operator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operator]:
    home = tmp_path_factory.mktemp("experiment") / "home"
    async with running_sandbox(home, only=COMPONENTS, runtime=runtime_folder()) as sandbox:
        yield Operator(sandbox)


async def started(operator: Operator, name: str, *arms: str) -> Experiment:
    """By command, and read by everybody."""
    said = await operator.done("experiment", "start", name, *arms, "--json")
    experiment = msgspec.json.decode(said.out, type=Experiment)

    async def has_begun() -> bool:
        return system_clock() > experiment.started_at_ms

    await eventually(has_begun)
    return experiment


def a_session_id() -> str:
    return str(uuid7(system_clock(), secrets.token_bytes(10)))


def played(session_id: str, kbps: int) -> list[dict[str, Any]]:
    """Twenty seconds at one rate, told once they are over."""
    began_ms = system_clock() - SECONDS * 1000
    steps: list[tuple[float, dict[str, Any]]] = [
        (0.0, {"type": "play", "playhead_ms": 0}),
        (0.1, {"type": "playing", "playhead_ms": 0, "bitrate_kbps": kbps}),
        (SECONDS, {"type": "stopped", "playhead_ms": 19_900, "reason": "aborted"}),
    ]
    nothing = {"from_ms": None, "to_ms": None}
    return [
        an_event(session_id, sequence=n, at=_text(began_ms + at_s * 1000), **{**nothing, **fields})
        for n, (at_s, fields) in enumerate(steps)
    ]


def downloaded(session_id: str) -> list[dict[str, Any]]:
    """What a player measures of three segments."""
    measured = {
        "type": "bandwidth",
        "from_ms": None,
        "to_ms": None,
        "playhead_ms": None,
        "object_type": "v",
        "status": 200,
        "buffer_length_ms": 12_000,
        "bitrate_kbps": 1000,
        "object_bytes": 1_500_000,
        "transfer_ms": 4_000,
    }
    return [
        an_event(session_id, sequence=n, at=_text(system_clock()), url=_segment(n), **measured)
        for n in range(100, 103)
    ]


def _segment(number: int) -> str:
    return f"http://cdn/tears/v480/{number - 99}.m4s"


def _text(at_ms: float) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


async def post(operator: Operator, events: Sequence[dict[str, Any]]) -> None:
    token = operator_token(operator.deployment, "ingest", subject="test", lifetime_s=3_600)
    async with aiohttp.ClientSession(
        operator.deployment.gateway_url(), headers=bearer(token)
    ) as http:
        for start in range(0, len(events), PER_POST):
            async with http.post("/v1/events", json=events[start : start + PER_POST]) as answer:
                assert answer.status == 202, await answer.text()


def arm_of(experiment: Experiment, session_id: str) -> str:
    arm = draw(experiment, session_id)
    assert arm is not None
    return arm.name


async def test_arms_are_drawn_applied_recorded_and_compared(operator: Operator) -> None:
    dry = await operator.done("experiment", "start", NAME, *ARMS, "--dry-run")
    assert "could start" in dry.out
    listed = (await operator.done("experiment", "list", "--json")).json
    assert NAME not in {each["experiment"] for each in listed}
    before = a_session_id()
    experiment = await started(operator, NAME, *ARMS)
    sessions = [a_session_id() for _ in range(SESSIONS_COUNT)]
    async with publishing(operator.deployment) as publisher:
        await publisher.publish(CATALOG_TITLES, "tears", a_title())
        for session_id in sessions:
            session = a_session(session_id, expires_at_ms=system_clock() + 86_400_000)
            await publisher.publish(SESSIONS, session_id, session)
    await post(operator, [event for each in sessions for event in downloaded(each)])
    await post(operator, [event for each in (before, *sessions) for event in played(each, 2_000)])
    expected = {session_id: arm_of(experiment, session_id) for session_id in sessions}
    assert set(expected.values()) == {"control", "quiet", "alone"}
    nothing: dict[str, str] = {}
    told = {before: nothing} | {session: {NAME: arm} for session, arm in expected.items()}
    for view in ("events", "sessions"):
        await _is_told(operator, view, told)
    await _is_applied(operator, expected)
    await _is_compared(operator, expected)
    await _is_stopped_by_command(operator)


async def _is_told(operator: Operator, view: str, told: dict[str, dict[str, str]]) -> None:
    query = f"SELECT DISTINCT toString(session_id), arms FROM {view}"  # noqa: S608 - a name of ours

    async def is_told() -> bool:
        rows = await operator.rows(query)
        found = {(name, tuple(arms.items())) for name, arms in rows if name in told}
        return found == {(name, tuple(arms.items())) for name, arms in told.items()}

    await eventually(is_told)


async def _is_applied(operator: Operator, expected: dict[str, str]) -> None:
    """The control's players are told a ceiling, a shadow's is recorded, and else there is none."""
    query = (
        "SELECT session_id, policy, is_applied, ceiling_kbps IS NULL, arms FROM bitrate_decisions"
    )
    policies = {"control": ("stochastic-mpc", True, 0), "quiet": ("shadow", False, 1)}
    due = {
        (session_id, *policies[arm], ((NAME, arm),))
        for session_id, arm in expected.items()
        if arm in policies
    }

    async def is_applied() -> bool:
        rows = await operator.rows(query)
        return {(*row[:4], tuple(row[4].items())) for row in rows} == due

    await eventually(is_applied)


async def _is_compared(operator: Operator, expected: dict[str, str]) -> None:
    async def is_compared() -> bool:
        shown = (await operator.done("experiment", "show", NAME, "--json")).json
        counts = {each["arm"]: each["session_count"] for each in shown["results"]}
        return counts == {
            arm: list(expected.values()).count(arm) for arm in ("control", "quiet", "alone")
        }

    await eventually(is_compared)
    shown = (await operator.done("experiment", "show", NAME)).out
    assert "control" in shown
    assert "difference" in shown


async def _is_stopped_by_command(operator: Operator) -> None:
    refused = await operator.run("experiment", "start", "another", *ARMS)
    assert (refused.code, f"stop {NAME}" in refused.err) == (1, True)
    arm = (*("experiment", "stop", NAME), *("--arm", "quiet", "--reason", "it is quiet"))
    without = (await operator.done(*arm, "--json")).json
    assert [each.get("stopped_reason") for each in without["arms"]] == [None, "it is quiet", None]
    stopping = ("experiment", "stop", NAME, "--reason", "we know enough")
    assert "could be" in (await operator.done(*stopping, "--dry-run")).out
    stopped = (await operator.done(*stopping, "--json")).json
    assert stopped["stopped_reason"] == "we know enough"
    listed = (await operator.done("experiment", "list", "--json")).json
    states = {each["experiment"]: each["state"] for each in listed}
    assert states[NAME].endswith("we know enough")
    assert (await operator.run(*stopping)).code == 1
    assert (await operator.run("experiment", "start", NAME, *ARMS)).code == 1
    late = a_session_id()
    await post(operator, played(late, 2_000))

    async def is_stored() -> bool:
        rows = await operator.rows(f"SELECT arms FROM events WHERE session_id = '{late}'")  # noqa: S608 - made here
        return bool(rows) and all(arms == {} for (arms,) in rows)

    await eventually(is_stored)


async def test_an_arm_that_harms_stops_by_itself(operator: Operator) -> None:
    """The sessions of `harmed` get a fifth of the bitrate; each arm gets some 200."""
    arms = ("--arm", "control=stochastic-mpc:0.5", "--arm", "harmed=robust-rate:0.5")
    experiment = await started(operator, "harming", *arms)
    sessions = {session: arm_of(experiment, session) for session in _ids(HARMED_COUNT)}
    kbps = {"control": 5_000, "harmed": 1_000}
    shares = Counter(sessions.values())
    await post(
        operator, [e for session, arm in sessions.items() for e in played(session, kbps[arm])]
    )

    async def is_stopped() -> bool:
        listed = (await operator.done("experiment", "list", "--json")).json
        (state,) = (each["state"] for each in listed if each["experiment"] == "harming")
        return bool(state != "running")

    await eventually(is_stopped, 120)
    shown = (await operator.done("experiment", "show", "harming", "--json")).json
    control, harmed = shown["experiment"]["arms"]
    assert "stopped_at_ms" not in control
    assert harmed["stopped_reason"].startswith("qoe is lower than the control's by ")
    results = {each["arm"]: each for each in shown["results"]}
    assert {arm: each["session_count"] for arm, each in results.items()} == shares
    assert results["harmed"]["qoe_difference_upper"] < 0


def _ids(count: int) -> list[str]:
    return [a_session_id() for _ in range(count)]
