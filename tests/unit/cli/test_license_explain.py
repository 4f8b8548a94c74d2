"""`playhead license explain`: every rule's word, on what the log says and under any policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from agents.license.decisions import decide
from agents.license.ledger import Ledger
from agents.license.plans import POLICY, LicensePolicy, Terms
from agents.license.policy_document import write_policy
from infra.cli.main import playhead
from infra.operations import households
from schemas.revocations import Revocation
from schemas.sessions import Device
from streams.clock import system_clock
from tests.builders import a_title
from tests.unit.license.facts import an_account, an_open, asking, some_knowledge

ACCOUNT_ID = "01930000-0000-7000-8000-00000000000a"
PUBLIC_KEY = "A" * 43


def an_open_ledger(policy: LicensePolicy) -> Ledger:
    """The account's television watches now; it has registered its model and key."""
    ledger, knowledge = Ledger(lease_ms=policy.lease_ms), some_knowledge()
    device = Device(device_id="tv", model="AFTMM", public_key=PUBLIC_KEY)
    request = an_open(1, account_id=ACCOUNT_ID, device=device)
    ledger.apply(decide(ledger, request, knowledge, asking(1, now_ms=system_clock())))
    return ledger


Explain = Callable[..., Any]


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Explain:
    """Run the command on one account, one title and one ledger in place of the log."""

    async def accounts(_: Any) -> Any:
        return {ACCOUNT_ID: an_account("basic")}

    async def titles(_: Any) -> Any:
        return {"tears": a_title()}

    async def ledger(_: Any, account_id: str, policy: LicensePolicy) -> Ledger:
        assert account_id == ACCOUNT_ID
        return an_open_ledger(policy)

    revoked: list[Revocation] = []

    async def revocations(_: Any) -> Any:
        return tuple(revoked)

    monkeypatch.setattr(households, "read_revocations", revocations)
    monkeypatch.setattr(households, "read_accounts", accounts)
    monkeypatch.setattr(households, "read_titles", titles)
    monkeypatch.setattr(households, "_fold_ledger", ledger)

    def run(*words: str, policy: LicensePolicy | None = None, model: str = "") -> Any:
        given = [*words]
        if model:
            revoked.append(Revocation(kind="model", subject=model, by="ada", at_ms=0))
        if policy is not None:
            file = tmp_path / "policy.toml"
            file.write_text(write_policy(policy))
            given += ["--policy", str(file)]
        about = ("--account", ACCOUNT_ID, "--content", "tears", "--device", "tv")
        return CliRunner().invoke(playhead, ["license", "explain", *about, *given])

    return run


def test_a_revoked_model_is_told_by_what_the_device_registered(explain: Explain) -> None:
    shown = explain(model="AFTMM")
    assert "denied: revoked" in shown.output


def test_the_rule_that_decides_is_told_with_what_it_found(explain: Explain) -> None:
    shown = explain()
    assert shown.exit_code == 0, shown.output
    assert "denied: concurrent-streams" in shown.output
    assert "1 of 1, block-new" in shown.output
    assert f"policy {POLICY.version}" in shown.output


def test_the_device_is_as_it_was_registered(explain: Explain) -> None:
    facts = msgspec.json.decode(explain("--json").output)["verdict"]["facts"]
    assert facts["device_model"] == "AFTMM"
    assert facts["device_public_key"] == facts["registered_public_key"] == PUBLIC_KEY
    assert facts["is_registered"]


def test_another_policy_may_be_asked(explain: Explain) -> None:
    terms = Terms(rental_ms=3_600_000, clear_key_tiers=("audio",), anonymizers_refused=("vpn",))
    other = replace(POLICY, version="other", concurrency="stop-oldest", terms=terms)
    granted = explain(policy=other)
    assert granted.exit_code == 0, granted.output
    assert "granted: audio, sd up to 480 lines" in granted.output
    assert "by ClearKey audio; by upstream services audio, sd" in granted.output
    assert "rented until" in granted.output
    assert "ends sessions: session-1" in granted.output
    assert "denied: anonymizer" in explain("--anonymizer", "vpn", policy=other).output
    assert explain("--anonymizer", "nonsense").exit_code == 2
