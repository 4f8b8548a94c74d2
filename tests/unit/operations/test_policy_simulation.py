"""Who would gain or lose by another policy: counted by rule, title and account; nothing written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from agents.analytics.windows import Span, Window
from agents.license.plans import POLICY, LicensePolicy, Terms
from agents.license.policy_document import write_policy
from infra.cli import license_simulate
from infra.cli.main import playhead
from infra.operations.shadow import policy as simulation
from infra.operations.shadow.policy import Changes, PolicyReport, PolicyTally, simulate_policy
from schemas.licenses import DecisionFacts, LicenseDecision
from streams.records import Record
from streams.topic import Topic
from streams.topics import LICENSE_DECISIONS
from tests.builders import a_title
from tests.unit.license.test_past import an_opening, of_before

AUSTRIA_ONLY = replace(POLICY, version="next", titles={"tears": Terms(regions_allowed=("AT",))})


def opening(account_id: str = "account-1", **changes: Any) -> LicenseDecision:
    return replace(an_opening(**changes), account_id=account_id)


def of_other_title(account_id: str) -> LicenseDecision:
    return replace(opening(account_id, title=a_title("tears", maturity=21)), content_id="other")


def ended() -> LicenseDecision:
    return replace(opening(), action="end", reason="ended", session=None, facts=DecisionFacts())


class MemoryReader:
    """A log of decisions in two partitions."""

    unreadable_count = 1
    void_count = 0

    def __init__(self, *partitions: list[LicenseDecision]) -> None:
        self._partitions = partitions

    async def spans(self, topic: Topic, window: Window) -> dict[int, Span]:
        assert topic is LICENSE_DECISIONS
        return {
            number: Span(partition=number, start=0, end=len(decisions))
            for number, decisions in enumerate(self._partitions)
        }

    async def records(self, topic: Topic, span: Span) -> AsyncGenerator[Record[Any], None]:
        for offset, decision in enumerate(self._partitions[span.partition]):
            yield Record(
                topic=topic.name,
                partition=span.partition,
                offset=offset,
                timestamp_ms=decision.decided_at_ms,
                key=decision.account_id,
                value=decision,
                headers={},
            )


async def simulated(policy: LicensePolicy, *partitions: list[LicenseDecision]) -> PolicyReport:
    reader: Any = MemoryReader(*partitions)
    seen: list[int] = []
    report = await simulate_policy(reader, policy, Window(), lambda r: seen.append(r.read))
    assert seen[-1] == report.total == report.read
    return report


async def test_changes_are_counted_by_rule_title_and_account() -> None:
    report = await simulated(
        AUSTRIA_ONLY,
        [opening(), opening(), opening("account-2"), ended(), replace(opening(), canary=True)],
        [of_other_title("account-3"), opening("account-3", region="AT")],
    )
    assert (report.read, report.unreadable, report.outside, report.same) == (7, 1, 2, 2)
    assert report.changes == Changes(loses=3)
    assert report.accounts == Changes(loses=2)
    assert report.by_rule == {"region": Changes(loses=3)}
    assert report.by_title == {"tears": Changes(loses=3)}
    assert list(report.by_account.items()) == [
        ("account-1", Changes(loses=2)),
        ("account-2", Changes(loses=1)),
    ]
    assert report.policy_versions == {POLICY.version: 5}
    assert report.has_losses


async def test_a_policy_that_says_the_same_changes_nothing() -> None:
    report = await simulated(POLICY, [opening(), opening("account-2", plan="basic")])
    assert (report.same, report.changes.total, report.has_losses) == (2, 0, False)


async def test_what_is_lacking_is_named_and_counted() -> None:
    policy = replace(POLICY, terms=Terms(anonymizers_refused=("vpn",), rental_ms=3_600_000))
    report = await simulated(policy, [of_before(opening()), opening(), opening(anonymizers=())])
    assert report.changes == Changes(undecided=2, worse=1)
    assert report.lacking == {"anonymizers": 2, "rental": 1}
    assert report.by_rule.keys() == {"facts are lacking", "expiry"}


async def test_a_rental_is_followed_through_the_window() -> None:
    policy = replace(POLICY, terms=Terms(rental_ms=3_600_000))
    first = opening()
    late = replace(opening(), decided_at_ms=first.decided_at_ms + 3_600_000)
    report = await simulated(policy, [first, late])
    assert report.by_rule == {"expiry": Changes(worse=1), "rental": Changes(loses=1)}


def test_what_is_counted_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "SUBJECTS_MAX", 2)
    tally = PolicyTally(AUSTRIA_ONLY)
    for number in range(5):
        tally.take(opening(f"account-{number}"))
    report = tally.finish()
    assert report.by_account.keys() == {"account-0", "account-1", simulation.OTHERS}
    assert report.changes == Changes(loses=5)


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(write_policy(AUSTRIA_ONLY))
    return file


def told(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> Any:
    """What the command says of a log that holds one decision that would be lost."""

    async def simulate(_: Any, policy: LicensePolicy, window: Window, *, on_progress: Any) -> Any:
        reader: Any = MemoryReader([opening()])
        return await simulate_policy(reader, policy, window, on_progress)

    monkeypatch.setattr(license_simulate, "simulate", simulate)
    return CliRunner().invoke(playhead, ["license", "simulate", *map(str, words)])


def test_the_command_prints_tables_and_its_exit_code_tells_of_losses(
    policy_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = told(monkeypatch, policy_file, "--from", "7d")
    assert shown.exit_code == 0, shown.output
    lines = [line.split() for line in shown.output.splitlines()]
    assert ["region", "0", "1", "0", "0", "0"] in lines
    assert ["tears", "0", "1", "0", "0", "0"] in lines
    assert told(monkeypatch, policy_file, "--fail-on-loss").exit_code == 1
    same = policy_file.with_name("same.toml")
    same.write_text(write_policy(POLICY))
    assert told(monkeypatch, same, "--fail-on-loss").exit_code == 0


def test_the_command_prints_all_as_json(policy_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = msgspec.json.decode(told(monkeypatch, policy_file, "--json").output)
    assert report["changes"]["loses"] == 1
    assert report["policy_version"].startswith("next+")


def test_a_policy_that_is_not_sound_is_judged_by_nobody(
    policy_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy_file.write_text(policy_file.read_text().replace("streams_max", "streams", 1))
    shown = told(monkeypatch, policy_file)
    assert shown.exit_code == 1
    assert "plans.basic.streams: there is no such setting" in str(shown.exception)
    assert told(monkeypatch, policy_file, "--from", "yesterday").exit_code != 0
