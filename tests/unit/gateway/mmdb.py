"""MaxMind-format databases of a few networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def write_database(
    file: Path,
    networks: Mapping[str, Mapping[str, Any]],
    *,
    kind: str = "Test",
    ip_version: int = 6,
) -> Path:
    """Whoever looks an address of one of the networks up finds what stands beside it."""
    writer = MMDBWriter(ip_version, kind, ipv4_compatible=ip_version == 6)
    for network, found in networks.items():
        writer.insert_network(IPSet([network]), dict(found))
    writer.to_db_file(str(file))
    return file
