"""`playhead license policy`: what is in force, and whether another one is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from agents.license.plans import POLICY
from agents.license.policy_document import read_policy, write_policy
from infra.cli.main import playhead


def shown(*words: str | Path) -> Any:
    return CliRunner().invoke(playhead, ["license", "policy", *map(str, words)])


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    text = write_policy(POLICY).replace(POLICY.version, "mine.1", 1)
    file.write_text(text.replace("streams_max = 2", "streams_max = 3", 1))
    return file


def test_what_is_printed_can_be_named_as_the_policy(changed: Path) -> None:
    assert read_policy(shown().output).plans == POLICY.plans
    assert msgspec.json.decode(shown("--json").output)["version"] == POLICY.version
    assert "$defs" in msgspec.json.decode(shown("--schema").output)


def test_the_policy_in_force_is_that_of_the_setting(
    changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYHEAD_LICENSE_POLICY", str(changed))
    assert "streams_max = 3" in shown().output
    assert "streams_max = 3" not in shown("--built-in").output
    assert "it says the same" in shown("check", changed).output


def test_a_sound_one_is_told_with_what_it_changes(changed: Path) -> None:
    said = shown("check", changed)
    assert said.exit_code == 0
    assert "version mine.1+" in said.output
    assert "-streams_max = 2" in said.output
    assert "+streams_max = 3" in said.output
    told = msgspec.json.decode(shown("check", changed, "--json").output)
    assert told["in_force"] == POLICY.version


def test_a_change_under_the_same_version_is_refused(changed: Path) -> None:
    changed.write_text(changed.read_text().replace("mine.1", POLICY.version))
    said = shown("check", changed)
    assert said.exit_code == 1
    assert "raise it" in str(said.exception)


def test_one_that_is_not_sound_says_what_to_mend(changed: Path) -> None:
    changed.write_text(changed.read_text().replace("devices_max", "device_max", 1))
    said = shown("check", changed)
    assert said.exit_code == 1
    assert "plans.basic.device_max: there is no such setting; did you mean devices_max?" in str(
        said.exception
    )
    assert "name a TOML file" in str(shown("check", changed.with_name("nowhere")).exception)
