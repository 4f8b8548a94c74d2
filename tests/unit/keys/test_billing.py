from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from infra.keys.billing import PREFIX, BillingSecrets, read_secrets
from infra.keys.files import KeyFileError, write_private

FIRST, SECOND = b"f" * 32, b"s" * 24


def text_of(secret: bytes) -> str:
    return f"whsec_{base64.b64encode(secret).decode()}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "billing.secrets"


def test_secrets_are_read_line_by_line_and_again_when_they_change(path: Path) -> None:
    secrets = BillingSecrets(path)
    assert secrets() == ()
    write_private(path, f"# of 2026\n{text_of(FIRST)}  # until May\n\n".encode())
    assert [secret.reveal() for secret in secrets()] == [FIRST]
    write_private(path, f"{text_of(FIRST)}\n{text_of(SECOND)}\n".encode())
    assert [secret.reveal() for secret in secrets()] == [FIRST, SECOND]
    assert secrets() is secrets()
    path.unlink()
    assert secrets() == ()


@pytest.mark.parametrize(
    "line",
    [
        base64.b64encode(FIRST).decode(),
        "whsec_",
        "whsec_not base64",
        text_of(b"x" * 23),
        text_of(b"x" * 65),
        text_of(FIRST)[:-3],
    ],
)
def test_a_line_that_is_no_secret_is_named_and_not_shown(
    path: Path, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_private(path, f"{text_of(FIRST)}\n{line}\n".encode())
    with pytest.raises(KeyFileError, match="line 2") as error:
        read_secrets(path)
    said = str(error.value).replace(f"`{PREFIX}`", "")
    assert line not in said
    with caplog.at_level(logging.ERROR):
        assert BillingSecrets(path)() == ()  # the door is shut, not half open
    assert text_of(FIRST) not in caplog.text
    caplog.clear()


def test_a_file_that_others_may_read_is_not_taken(path: Path) -> None:
    write_private(path, text_of(FIRST).encode())
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_secrets(path)


def test_too_many_secrets_are_refused(path: Path) -> None:
    write_private(path, "\n".join([text_of(FIRST)] * 9).encode())
    with pytest.raises(KeyFileError, match="more than 8"):
        read_secrets(path)


def test_nothing_of_a_secret_shows(path: Path) -> None:
    write_private(path, text_of(FIRST).encode())
    shown = repr([BillingSecrets(path), read_secrets(path)])
    assert "whsec" not in shown
    assert "ffff" not in shown
