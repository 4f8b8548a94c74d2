from __future__ import annotations

import json
from pathlib import Path

from agents.account.outbox import Outbox
from agents.account.outcome import ResetMail
from schemas.secrets import SecretText


def a_mail(expires_at_ms: int) -> ResetMail:
    return ResetMail("ada@example.org", SecretText("token"), expires_at_ms)


def test_a_message_is_one_private_file_and_expired_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    outbox = Outbox(folder)
    outbox.deliver("one", a_mail(100), 0)
    outbox.deliver("one", a_mail(100), 0)
    outbox.deliver("two", a_mail(300), 50)
    assert {path.name for path in folder.iterdir()} == {"one.json", "two.json"}
    assert (folder / "one.json").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert json.loads((folder / "two.json").read_bytes())["email"] == "ada@example.org"
    outbox.deliver("three", a_mail(900), 200)
    assert {path.name for path in folder.iterdir()} == {"two.json", "three.json"}
