"""Makes `.venv` from the hashed locks: `python3 -m infra.setup.environment runtime test`.

Runs before anything is installed, so it uses the standard library alone, and old syntax, so that
an old Python gets to the line that names the one it needs. What is installed already is known by
a stamp with the hashes of locks and project file: then it does nothing, in a few milliseconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

from infra.setup.installer import SetupError, install_by_pip, install_lock, install_project
from infra.setup.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "infra" / "locks"
INSTALLER_LOCK = Path(__file__).resolve().with_name("installer.txt")
PYTHON_MIN = (3, 11)


def main(arguments: list[str] | None = None) -> int:
    """Install what the named locks hold; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the virtual environment.")
    parser.add_argument("locks", nargs="+", help="names of files in infra/locks, without .txt")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument(
        "--chosen", action="store_true", help="this Python was asked for: rebuild a venv of another"
    )
    options = parser.parse_args(arguments)
    try:
        make_environment(options.venv.absolute(), options.locks, is_chosen=options.chosen)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def make_environment(venv: Path, names: list[str], *, is_chosen: bool) -> None:
    """Bring `venv` to what the locks say. Raises SetupError."""
    if sys.version_info < PYTHON_MIN:
        raise SetupError(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: "
            f"name one, as in `make run PYTHON=python3.12`"
        )
    locks = lock_files(LOCKS, names)
    if not is_usable(venv, is_chosen=is_chosen):
        create(venv)
    python = python_of(venv)
    stamps = Stamps(venv / "playhead-setup.json")
    if not stamps.has(INSTALLER_LOCK):
        install_by_pip(python, INSTALLER_LOCK)
        stamps.add(INSTALLER_LOCK)
    for lock in locks:
        if not stamps.has(lock):
            install_lock(python, lock)
            stamps.add(lock)
    if not stamps.has(ROOT / "pyproject.toml"):
        install_project(python, ROOT)
        stamps.add(ROOT / "pyproject.toml")


class Stamps:
    """Remembers in `file` which files were installed, by the hash of what they held."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._digests = dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            self._digests = {}

    def has(self, installed: Path) -> bool:
        """Whether this file was installed as it is now."""
        return self._digests.get(installed.name) == _digest(installed)

    def add(self, installed: Path) -> None:
        """Remember it."""
        self._digests[installed.name] = _digest(installed)
        self._file.write_text(json.dumps(self._digests, indent=1), encoding="utf-8")


def lock_files(folder: Path, names: list[str]) -> list[Path]:
    """The lock files of these names; all agree in the pins that they share."""
    files = [folder / f"{name}.txt" for name in names]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SetupError(f"there is no lock {', '.join(missing)}")
    return files


def is_usable(venv: Path, *, is_chosen: bool) -> bool:
    """Whether `venv` has a Python that is new enough, and the asked one if one was asked for."""
    question = "import pip, sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [str(python_of(venv)), "-c", question], capture_output=True, text=True, check=True
        ).stdout
        version = tuple(int(word) for word in answer.split())
    except (OSError, subprocess.CalledProcessError, ValueError):
        return False
    return version == tuple(sys.version_info[:2]) if is_chosen else version >= PYTHON_MIN


def create(venv: Path) -> None:
    """Make an empty environment, in place of any other."""
    progress = Progress(f"virtual environment of Python {sys.version.split()[0]}")
    result = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise SetupError(
            f"no virtual environment could be made; on Debian install python3-venv\n"
            f"{(result.stdout + result.stderr).strip()}"
        )
    progress.finish()


def python_of(venv: Path) -> Path:
    """The interpreter of an environment."""
    return venv / "bin" / "python"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
