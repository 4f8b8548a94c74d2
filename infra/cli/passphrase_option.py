"""The passphrase of sealed keys: from a file, or asked for; never an argument that others see."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.secrets import SecretBytes

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Its first line; without it you are asked.",
)


def read_passphrase(file: Path | None, *, confirms: bool) -> SecretBytes:
    """What seals the keys."""
    if file is not None:
        line = file.read_text().partition("\n")[0]
    else:
        line = click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirms, err=True)
    return SecretBytes(line.encode())
