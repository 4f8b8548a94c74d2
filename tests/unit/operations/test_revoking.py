from __future__ import annotations

from pathlib import Path

import pytest

from infra.keys.admin import issue_admin_token
from infra.keys.folder import KeyFolder
from infra.operations.revoking import subject_of
from schemas.errors import InvalidMessageError
from schemas.ids import uuid7
from tests.builders import NOW_MS


def test_a_token_is_named_by_itself_or_by_its_id(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.create()
    token = issue_admin_token(
        keys.identity("operator"),
        role="packager",
        subject="encoder",
        lifetime_s=60,
        now_ms=NOW_MS,
        randomness=b"r" * 10,
    )
    jti = str(uuid7(NOW_MS, b"r" * 10))
    assert subject_of("token", token) == jti
    assert subject_of("token", jti) == jti
    assert subject_of("model", token) == token, "a model may be called anything"


@pytest.mark.parametrize("given", ["a.b.c", "..", "a.e30.c", "a.\u00fc.c", "a.W10.c"])
def test_what_is_no_token_is_told_so(given: str) -> None:
    with pytest.raises(InvalidMessageError, match="jti"):
        subject_of("token", given)
