"""Where the processes of a deployment listen, as the kernel tells (proc(5), /proc/net/tcp)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

LISTEN: Final = "0A"

Address = tuple[IPv4Address | IPv6Address, int]


def listening(pids: Iterable[int]) -> dict[int, set[Address]]:
    """Per process, the TCP addresses that it takes connections on."""
    return {pid: _of_process(pid) for pid in pids}


def _of_process(pid: int) -> set[Address]:
    process = Path(f"/proc/{pid}")
    own = {str(each.readlink()) for each in (process / "fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in (process / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTEN and f"socket:[{inode}]" in own:
                host, _, port = local.partition(":")
                found.add((_address(host), int(port, 16)))
    return found


def _address(host: str) -> IPv4Address | IPv6Address:
    """The kernel writes words of four bytes in the machine's own order."""
    words = (bytes.fromhex(host[i : i + 8])[::-1] for i in range(0, len(host), 8))
    address = ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
