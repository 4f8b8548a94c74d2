"""The secrets that a billing system signs its events with: a private file that is looked at again.

One `whsec_` and base64 a line, as the Standard Webhooks specification writes them; `#` begins a
comment. While a secret is rotated, the old and the new one both stand there.
"""

from __future__ import annotations

import base64
import binascii
import logging
from pathlib import Path
from typing import Final

from infra.keys.files import KeyFileError, read_private
from schemas.secrets import SecretBytes

PREFIX: Final = "whsec_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
SECRETS_MAX: Final = 8
FILE: Final = "billing.secrets"
log = logging.getLogger(__name__)


class BillingSecrets:
    """The file's secrets. One that is missing is none; one that is wrong closes the door."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._secrets: tuple[SecretBytes, ...] = ()

    def __repr__(self) -> str:
        return f"BillingSecrets({self._path}, ***)"

    def __call__(self) -> tuple[SecretBytes, ...]:
        """Those that count now; read again where the file is another one."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._secrets = None, ()
            return ()
        seen = (status.st_mtime_ns, status.st_ino, status.st_mode)
        if seen != self._seen:
            try:
                self._secrets = read_secrets(self._path)
            except KeyFileError as error:
                log.error("no billing event is taken: %s", error)  # noqa: TRY400 - no trace near keys
                self._secrets = ()
            self._seen = seen
        return self._secrets


def read_secrets(path: Path) -> tuple[SecretBytes, ...]:
    """Every secret; KeyFileError names the line that is none, and shows nothing of it."""
    found = []
    lines = read_private(path).decode("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        fits = SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX
        if not text.startswith(PREFIX) or not fits:
            raise KeyFileError(
                f"{path}, line {number}: `{PREFIX}` and base64 of {SECRET_BYTES_MIN} to "
                f"{SECRET_BYTES_MAX} bytes are needed"
            )
        found.append(SecretBytes(secret))
    if len(found) > SECRETS_MAX:
        raise KeyFileError(f"{path} holds more than {SECRETS_MAX} secrets: take old ones out")
    return tuple(found)
