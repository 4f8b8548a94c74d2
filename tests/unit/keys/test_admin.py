from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from infra.keys.admin import LIFETIME_S_MAX, issue_admin_token
from infra.keys.folder import KeyFolder
from schemas.errors import InvalidMessageError
from tests.builders import NOW_MS


def a_token(keys: KeyFolder, **changes: object) -> str:
    given: dict[str, object] = {
        "role": "catalog",
        "subject": "nightly import",
        "lifetime_s": 60,
        "now_ms": NOW_MS,
        "randomness": b"r" * 10,
    }
    return issue_admin_token(keys.identity("operator"), **(given | changes))  # type: ignore[arg-type]  # varied by tests


def test_a_token_says_role_subject_and_end(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.create()
    header, payload, _ = (part + "==" for part in a_token(keys).split("."))
    assert json.loads(base64.urlsafe_b64decode(header))["typ"] == "admin+jwt"
    claims = json.loads(base64.urlsafe_b64decode(payload))
    assert (claims["role"], claims["sub"], claims["typ"]) == ("catalog", "nightly import", "admin")
    assert claims["exp"] - claims["iat"] == 60


@pytest.mark.parametrize(
    "changes", [{"lifetime_s": 0}, {"lifetime_s": LIFETIME_S_MAX + 1}, {"subject": ""}]
)
def test_an_endless_or_nameless_token_is_not_made(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.create()
    with pytest.raises(InvalidMessageError):
        a_token(keys, **changes)
