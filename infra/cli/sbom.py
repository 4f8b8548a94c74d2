"""`playhead sbom`."""

from __future__ import annotations

from pathlib import Path

import click

from infra.files import write_whole
from infra.setup.bill_of_materials import bill_of_materials


@click.command("sbom")
@click.option("--out", type=click.Path(path_type=Path), help="A file; default: standard output.")
def command(out: Path | None) -> None:
    """Print the software bill of materials: every package of the locks (CycloneDX 1.6, JSON).

    It needs no network. Give it to a scanner of known vulnerabilities.
    Example: playhead sbom --out playhead.cdx.json
    """
    bill = bill_of_materials()
    if out is None:
        click.echo(bill, nl=False)
    else:
        write_whole(out, bill)
