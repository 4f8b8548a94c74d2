"""`playhead`: the table of commands. Each one's module is imported only when it is asked for."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Final

import click

from infra.settings import SettingsError
from schemas.errors import PlayheadError

COMMANDS: Final[dict[str, str]] = {
    "run": "infra.cli.run",
    "demo": "infra.cli.demo",
    "gateway": "infra.cli.gateway",
    "worker": "infra.cli.worker",
    "kafka": "infra.cli.kafka",
    "clickhouse": "infra.cli.clickhouse",
    "edge": "infra.cli.edge",
    "canary": "infra.cli.canary",
    "settings": "infra.cli.settings",
    "status": "infra.cli.status",
    "doctor": "infra.cli.doctor",
    "topics": "infra.cli.topics",
    "replay": "infra.cli.replay",
    "dead-letters": "infra.cli.dead_letters",
    "lag": "infra.cli.lag",
    "ledger": "infra.cli.ledger",
    "backup": "infra.cli.backup",
    "restore": "infra.cli.restore",
    "migrate": "infra.cli.migrate",
    "cdn": "infra.cli.cdn",
    "content": "infra.cli.content",
    "experiment": "infra.cli.experiment",
    "accounts": "infra.cli.accounts",
    "recommend": "infra.cli.recommend",
    "subscriptions": "infra.cli.subscriptions",
    "license": "infra.cli.license",
    "keys": "infra.cli.keys",
    "admin": "infra.cli.admin",
    "simulate": "infra.cli.simulate",
    "bench": "infra.cli.bench",
    "faults": "infra.cli.faults",
    "secrets-scan": "infra.cli.secrets_scan",
    "sql": "infra.cli.sql",
    "sbom": "infra.cli.sbom",
}
"""Each module has one click command named `command`."""

DONE, FAILED, WRONG_USE = 0, 1, 2
YOUNG_OBJECTS_MAX: Final = 50_000
"""Importing makes hundreds of thousands of objects that stay: Python's default looks through all
of them so often that it costs a fifth of a start."""


class _Commands(click.Group):
    """Looks commands up in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="playhead")
def playhead() -> None:
    """The back end behind the Play button.

    Example: playhead sql "select * from sessions order by started_at desc limit 5"
    """


def main() -> None:
    """Run the command line: exits 0 (done), 1 (failed) or 2 (wrong use), without a stack trace."""
    gc.set_threshold(YOUNG_OBJECTS_MAX)
    try:
        playhead.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(WRONG_USE)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except SettingsError as error:
        click.echo(f"playhead: {error}", err=True)
        sys.exit(WRONG_USE)
    except (click.ClickException, PlayheadError, OSError, TimeoutError) as error:
        click.echo(f"playhead: {error}", err=True)
        sys.exit(FAILED)
