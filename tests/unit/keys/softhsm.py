"""A token of SoftHSM2 in a folder of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pkcs11
import pytest

MODULES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
HOW: Final = (
    "no SoftHSM2 was found, so NO TOKEN TEST RAN; `apt-get install softhsm2` brings one, "
    "or set SOFTHSM2_MODULE to the path of libsofthsm2.so"
)
TOKEN: Final = "playhead tests"
PIN: Final = "a pin of tests"


def softhsm_module() -> str:
    """Where it is. Skips where there is none, and fails where a CI has none."""
    given = os.environ.get("SOFTHSM2_MODULE")
    found = given or next((path for path in MODULES if Path(path).exists()), None)
    if found is not None and shutil.which("softhsm2-util"):
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(HOW)
    pytest.skip(HOW)


def make_token(folder: Path) -> None:
    """A token with a PIN and no key. The library reads SOFTHSM2_CONF once in a process."""
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n"
    )
    labels = ("--label", TOKEN, "--pin", PIN, "--so-pin", "a security officer's")
    subprocess.run(
        ("softhsm2-util", "--init-token", "--free", *labels),
        env={**os.environ, "SOFTHSM2_CONF": str(folder / "softhsm2.conf")},
        check=True,
        capture_output=True,
    )


@contextmanager
def a_token(folder: Path) -> Iterator[str]:
    """Gives the library, loaded anew with one token in the folder; no other is in this process."""
    path = softhsm_module()
    make_token(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        pkcs11.lib(path).reinitialize()
        yield path
    pkcs11.unload(path)
