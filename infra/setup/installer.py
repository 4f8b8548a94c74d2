"""Installs hashed locks into an environment: with uv where it can reach the index, else with pip.

uv (itself installed by pip from a hashed lock) needs a quarter of pip's time. It does not read
pip's configuration, so where that names an index, pip does the work.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from infra.setup.progress import Progress

TAIL_LINES = 15
PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==")
FETCHED = re.compile(r"^(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)")
# A lock holds all that is needed, so nothing is left to resolve.
LOCKED = ("--require-hashes", "--no-deps")


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def install_lock(python: Path, lock: Path) -> None:
    """Install every pin of `lock`; nothing is accepted whose hash is not in it.

    Raises SetupError with the installer's last lines.
    """
    if not (_may_use_uv(python) and _install_by_uv(python, lock)):
        install_by_pip(python, lock)


def install_by_pip(python: Path, lock: Path) -> None:
    """The same with pip alone."""
    total = sum(1 for line in lock.read_text(encoding="utf-8").splitlines() if PIN.match(line))
    # Bytecode is made when a module is first used, not for thousands that never are.
    options = [*LOCKED, "--no-compile", "-r", str(lock)]
    _run_pip(python, options, Progress(f"packages: {lock.stem}", total))


def install_project(python: Path, root: Path) -> None:
    """Install Playhead itself, editable, built by the locked setuptools without any network."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--editable", str(root)]
    _run_pip(python, options, Progress("playhead", 1))


def _may_use_uv(python: Path) -> bool:
    if not (python.parent / "uv").is_file():
        return False
    answer = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    return "index-url" not in answer.stdout  # It lists the environment's variables too.


def _install_by_uv(python: Path, lock: Path) -> bool:
    """Whether uv could do it; its own progress bars show on a terminal."""
    progress = Progress(f"packages: {lock.stem}")
    command = [str(python.parent / "uv"), "pip", "install", "--python", str(python), *LOCKED]
    is_terminal = sys.stdout.isatty()
    result = subprocess.run(
        [*command, "--link-mode=copy", "-r", str(lock)],
        env={"UV_HTTP_TIMEOUT": "120", **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if is_terminal else subprocess.DEVNULL,
        check=False,
    )
    if result.returncode == 0:
        progress.finish()
    return result.returncode == 0


def _run_pip(python: Path, options: list[str], progress: Progress) -> None:
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    process = subprocess.Popen(
        [*command, "--progress-bar=off", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    tail: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        tail = [*tail[-TAIL_LINES:], line.rstrip()]
        fetched = FETCHED.match(line)
        if fetched is not None:
            progress.advance(fetched.group(1))
        elif line.startswith("Installing collected packages"):
            progress.show("installing")
    if process.wait() != 0:
        raise SetupError("pip failed:\n" + "\n".join(tail))
    progress.finish()
