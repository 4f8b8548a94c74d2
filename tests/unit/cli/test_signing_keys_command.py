from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli.signing_keys import command
from infra.keys.folder import KeyFolder


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFolder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLAYHEAD_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    folder = KeyFolder(tmp_path / "home" / "keys")
    folder.create()
    return folder


def test_a_dry_run_changes_nothing_and_says_what_would_be_gone_on_with(keys: KeyFolder) -> None:
    account = keys.identity("account").key_id
    said = CliRunner().invoke(command, ["--dry-run"])
    assert said.exit_code == 0, said.output
    assert f"would rotate account: {account}" in said.output
    keys.signing_keys().prepare("account")
    said = CliRunner().invoke(command, ["--dry-run", "--role", "account"])
    assert f"would go on with account: {account}" in said.output
    assert keys.identity("account").key_id == account


@pytest.mark.parametrize("wrong", [["--role", "nobody"], ["--settle", "0"], ["--settle", "9999"]])
def test_wrong_use_is_refused(keys: KeyFolder, wrong: list[str]) -> None:
    assert CliRunner().invoke(command, wrong).exit_code == 2
    assert not keys.signing_keys().is_under_way("account")
