"""Fetches the SDK and what it imports; a page reads them as they are, by an import map."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from infra.players.library import npm_argv

SOURCE: Final = Path(__file__).parent
INSTALL_TIMEOUT_S: Final = 300
SDK: Final = "@eyevinn/player-analytics-client-sdk-web"
FILTER: Final = "@eyevinn/media-event-filter"
VERSION: Final = "@eyevinn/player-analytics-specification/package.json"
FILES: Final = {
    SDK: Path(SDK, "dist", "module.js"),
    FILTER: Path(FILTER, "build", "mef.min.js"),
    VERSION: Path(VERSION),
}
"""What the SDK's own build imports by name, itself included, and where npm puts it."""


def provide_sdk(runtime: Path) -> dict[str, Path]:
    """The files by the name that they are imported by; fetched once."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    folder = runtime / "epas-sdk" / hashlib.sha256(lock).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(folder)
    return {name: folder / "node_modules" / path for name, path in FILES.items()}


def _fetch(folder: Path) -> None:
    fetching = folder.with_name("fetching")
    shutil.rmtree(fetching, ignore_errors=True)
    fetching.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(SOURCE / name, fetching / name)
    node, npm = npm_argv()
    path = os.pathsep.join((str(Path(node).parent), os.environ.get("PATH", os.defpath)))
    subprocess.run(
        [node, npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error"],
        cwd=fetching,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        timeout=INSTALL_TIMEOUT_S,
        check=True,
    )
    fetching.rename(folder)
