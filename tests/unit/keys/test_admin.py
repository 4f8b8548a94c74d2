from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest

from infra.keys.admin import issue_admin_token
from infra.keys.folder import KeyFolder
from schemas.errors import InvalidMessageError
from schemas.tokens import ADMIN_TOKEN_S_MAX, AdminClaims
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
    "changes",
    [
        {"lifetime_s": 0},
        {"lifetime_s": ADMIN_TOKEN_S_MAX + 1},
        {"subject": ""},
        {"contents": ("drama-1",)},
        {"role": "packager", "contents": ("*",)},
        {"role": "packager", "contents": ("Drama 1",)},
        {"role": "packager", "contents": ("dra*ma",)},
    ],
)
def test_a_token_that_nobody_could_want_is_not_made(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.create()
    with pytest.raises(InvalidMessageError):
        a_token(keys, **changes)


@pytest.mark.parametrize(
    ("contents", "content_id", "covers"),
    [
        ((), "drama-1", True),
        (("drama-1",), "drama-1", True),
        (("drama-1",), "drama-10", False),
        (("drama-*",), "drama-10", True),
        (("drama-*",), "drama", False),
        (("news", "drama-*"), "news", True),
        (("news", "drama-*"), "newsreel", False),
    ],
)
def test_a_packagers_token_covers_what_it_names(
    tmp_path: Path, contents: tuple[str, ...], content_id: str, covers: bool
) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.create()
    token = a_token(keys, role="packager", contents=contents)
    claims = msgspec.json.decode(
        base64.urlsafe_b64decode(token.split(".")[1] + "=="), type=AdminClaims
    )
    assert claims.covers(content_id) is covers
