"""`playhead license policy`: the policy in force as TOML, and whether another one is sound."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

import click
import msgspec

from agents.license.plans import POLICY, LicensePolicy
from agents.license.policy_document import policy_schema, write_policy
from infra.cli.output import json_option
from infra.policies import policy_in_force, read_policy_file
from infra.settings import load_settings
from schemas.errors import PlayheadError

POLICY_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("policy", invoke_without_command=True)
@click.option("--built-in", is_flag=True, help="The built-in one, whatever is in force.")
@click.option("--schema", is_flag=True, help="JSON Schema of the document instead.")
@json_option
@click.pass_context
def policy(ctx: click.Context, built_in: bool, schema: bool, as_json: bool) -> None:
    """Print the policy in force as TOML, with the meaning of every value.

    PLAYHEAD_LICENSE_POLICY names the file that license workers read when they start.
    Example: playhead license policy > policy.toml
    """
    if ctx.invoked_subcommand is not None:
        return
    if schema:
        click.echo(policy_schema())
        return
    shown = POLICY if built_in else policy_in_force(load_settings())
    if as_json:
        click.echo(msgspec.json.encode(shown, order="deterministic"))
    else:
        click.echo(write_policy(shown), nl=False)


@policy.command("check")
@click.argument("file", type=POLICY_FILE)
@json_option
def check(file: Path, as_json: bool) -> None:
    """Say whether a policy is sound, and what it changes; exit code 1 where it is not.

    Example: playhead license policy check policy.toml
    """
    new, present = read_policy_file(file), policy_in_force(load_settings())
    changes = _changes(present, new)
    if changes and _bare(new) == _bare(present):
        raise PlayheadError(
            f"{file}: version: {_bare(new)} is in force and says something else; raise it"
        )
    if as_json:
        told = {"version": new.version, "in_force": present.version, "changes": changes}
        click.echo(msgspec.json.encode(told))
        return
    click.echo(f"{file} is sound: version {new.version}; in force is {present.version}")
    click.echo("\n".join(changes) if changes else "it says the same")


def _bare(shown: LicensePolicy) -> str:
    return shown.version.partition("+")[0]


def _changes(present: LicensePolicy, new: LicensePolicy) -> list[str]:
    """Lines of a unified diff, without its head; none where only the version is another."""
    was, is_now = (
        [line for line in write_policy(each).splitlines() if not line.startswith(("#", "version"))]
        for each in (present, new)
    )
    return list(unified_diff(was, is_now, lineterm="", n=3))[2:]
