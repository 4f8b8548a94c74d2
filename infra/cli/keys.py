"""`playhead keys`: what wraps content keys, and its rotation."""

from __future__ import annotations

import asyncio

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.cli.progress import progress_bar
from infra.cli.signing_keys import command as rotate_signing
from infra.deployment import Deployment
from infra.keys.file_root import FileKeyProvider
from infra.keys.files import KeyFileError
from infra.keys.folder import INHERITED_KEKS
from infra.keys.providers import token_root
from infra.operations.key_rotation import (
    KeysInLog,
    Rotated,
    RotationFailedError,
    read_keys,
    rotate,
)
from infra.operations.moments import instant
from infra.operations.operator import require_keys
from infra.settings import load_settings
from schemas.licenses import KeyEncryptionKey, KeyRotation


@click.group("keys")
def command() -> None:
    """What content keys are wrapped by: a root, and versions of the key-encryption key.

    Example: playhead keys rotate kek --dry-run
    """


@command.command("list")
@json_option
def list_keks(as_json: bool) -> None:
    """Every version of the key-encryption key, its root, and how many content keys lie under it.

    Example: playhead keys list
    """
    found = asyncio.run(read_keys(Deployment(settings=load_settings())))
    rows = [
        (
            kek.version,
            kek.kek_id,
            _state(kek, found),
            kek.root,
            found.under(kek),
            instant(kek.created_at_ms),
            "" if kek.retired_at_ms is None else instant(kek.retired_at_ms),
        )
        for kek in sorted(found.keks, key=lambda kek: (kek.version, kek.kek_id))
    ]
    if found.inherited:
        rows.insert(0, (0, "", "replaced", INHERITED_KEKS, found.inherited, "", ""))
    print_rows(
        ("version", "kek_id", "state", "root", "content_keys", "created", "retired"),
        rows,
        as_json=as_json,
    )


def _state(kek: KeyEncryptionKey, found: KeysInLog) -> str:
    """`replaced`: newer keys lie under another one, a rotation is not finished."""
    if kek.retired_at_ms is not None:
        return "retired"
    current = found.standing.current
    return "current" if current is not None and current.kek_id == kek.kek_id else "replaced"


@command.group("rotate")
def rotate_group() -> None:
    """Replace a key by a new version while everything runs.

    Example: playhead keys rotate kek
    """


rotate_group.add_command(rotate_signing)


@rotate_group.command("kek")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--again", is_flag=True, help="A new version even where an earlier rotation left something."
)
@json_option
def rotate_kek(dry_run: bool, again: bool, as_json: bool) -> None:
    """A new key-encryption key: every content key is wrapped by it, the old one is retired.

    No license fails meanwhile. Killed, the same command goes on. Example:
    playhead keys rotate kek --dry-run
    """
    deployment = Deployment(settings=load_settings())
    found = asyncio.run(read_keys(deployment))
    where = found.standing
    begins = where.is_done or again
    total = len(found.keys) if begins else len(where.left)
    if dry_run:
        _print_plan(found, begins, total, as_json)
        return
    from_kek_id = where.current.kek_id if again and where.current is not None else where.next_from
    with progress_bar() as bar:
        task = bar.add_task("rewrapping", total=total)

        def show(piece: KeyRotation, rewrapped: int) -> None:
            bar.update(task, total=rewrapped + piece.left, completed=rewrapped)

        try:
            rotated = asyncio.run(rotate(deployment, from_kek_id, show))
        except KeyboardInterrupt as error:
            raise RotationFailedError("stopped; the same command goes on") from error
    _print_rotated(rotated, as_json)


def _print_plan(found: KeysInLog, begins: bool, total: int, as_json: bool) -> None:
    where = found.standing
    version = 0 if where.current is None else where.current.version
    replaced = [kek.version for kek in where.replaced]
    if begins and where.current is not None:
        replaced.append(version)
    plan = {
        "current": version,
        "makes_version": begins,
        "content_keys": total,
        "retires": replaced,
    }
    if as_json:
        click.echo(msgspec.json.encode(plan).decode())
    elif begins:
        click.echo(f"would make a version after {version} and wrap {total} content keys by it")
    else:
        click.echo(f"would finish version {version}: {total} content keys are left")


def _print_rotated(rotated: Rotated, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(rotated).decode())
    else:
        retired = ", ".join(map(str, rotated.retired)) or "none"
        click.echo(
            f"version {rotated.version} is current: {rotated.rewrapped} content keys rewrapped,"
            f" retired: {retired}"
        )
    if rotated.stuck:
        raise RotationFailedError(
            f"these keys cannot be unwrapped, restore them from a backup: {' '.join(rotated.stuck)}"
        )


@command.group("make")
def make_group() -> None:
    """Make what has to be there before.

    Example: playhead keys make root
    """


@make_group.command("root")
def make_root() -> None:
    """Make the root key where PLAYHEAD_KEY_PROVIDER says: in a token, or in the key folder.

    A token's is AES-256, sensitive, never extractable; its PIN is read from
    PLAYHEAD_PKCS11_PIN_FILE. A root that is there is never made anew. Example:
    playhead keys make root
    """
    deployment = Deployment(settings=load_settings())
    if deployment.settings.key_provider == "file":
        made = _make_root_file(deployment)
    else:
        made = asyncio.run(_make_root_in_token(deployment))
    click.echo(f"made {made}; `playhead keys rotate kek` lets it wrap")


async def _make_root_in_token(deployment: Deployment) -> str:
    token = token_root(deployment.settings)
    await token.make_root()
    await token.close()
    return token.root


def _make_root_file(deployment: Deployment) -> str:
    """Only where nothing lies under one that was lost."""
    folder = require_keys(deployment)
    found = asyncio.run(read_keys(deployment))
    if any(kek.root == FileKeyProvider.root for kek in found.keks):
        raise KeyFileError(f"key-encryption keys lie under {folder.kek_root}: restore it")
    folder.make_kek_root()
    return str(folder.kek_root)
