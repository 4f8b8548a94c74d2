"""`python -m infra.clickhouse`: the engine process (see server.py)."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from infra.clickhouse.limits import Limits
from infra.clickhouse.server import ServerOptions, run_server

# What Python itself needs. Everything else leaves the environment, which SQL might read
# (/proc/self/environ).
_KEPT: Final = ("PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "TZ")
_MARK: Final = "PLAYHEAD_ENGINE_ENVIRONMENT_IS_EMPTY"


def main(arguments: list[str]) -> int:
    """Parses the command line and serves until told to stop."""
    options = _options(arguments)
    _empty_environment()
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s clickhouse: %(message)s",
    )
    try:
        return run_server(options)
    except (OSError, ValueError, RuntimeError) as error:
        logging.getLogger(__name__).error("cannot start: %s", error)  # noqa: TRY400  # one line says it
        return 1


def _empty_environment() -> None:
    """Starts this program again without its environment; the process id stays.

    Deleting variables would leave them where the kernel shows them, in /proc. The mark ends the
    matter: some systems give every new program a variable of their own.
    """
    if _MARK in os.environ:
        return
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    os.execve(sys.executable, sys.orig_argv, {**kept, _MARK: "1"})  # noqa: S606  # this very program


def _options(arguments: list[str]) -> ServerOptions:
    parser = argparse.ArgumentParser(prog="python -m infra.clickhouse", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="directory of the data")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123, help="0: any free one")
    parser.add_argument("--users-file", type=Path, required=True, help="JSON, mode 0600")
    parser.add_argument("--announce", type=Path, help="JSON file for host, port and pid")
    parser.add_argument("--host-name", action="append", default=[], help="also served as")
    parser.add_argument("--database", default="", help="where requests look that name none")
    parser.add_argument("--fsync", action="store_true", help="flush parts before answering")
    parser.add_argument("--limits", default="{}", help="JSON object: names as in limits.py")
    given = parser.parse_args(arguments)
    return ServerOptions(
        path=given.path,
        host=given.host,
        port=given.port,
        users_file=given.users_file,
        announce=given.announce,
        host_names=tuple(given.host_name),
        database=given.database,
        fsync=given.fsync,
        limits=_limits(parser, given.limits),
    )


def _limits(parser: argparse.ArgumentParser, text: str) -> Limits:
    try:
        return msgspec.json.decode(text, type=Limits)
    except msgspec.DecodeError as error:
        parser.error(f"--limits: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
