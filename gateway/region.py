"""Where a peer is, as coarsely as rules need it: from its own address, never from a header."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from pathlib import Path
from typing import Any

import maxminddb
import msgspec

IPV4_PREFIX = 24
IPV6_PREFIX = 48
PLACES_MAX = 20_000

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an address."""

    region: str = ""
    """ISO 3166-1; empty where unknown."""
    asn: int = 0
    network: str = ""
    """Cut to /24 or /48: the address itself goes no further."""


class Regions:
    """Looks addresses up in a MaxMind-format database, where there is one."""

    def __init__(self, database: Path | None, loopback_region: str) -> None:
        self._reader = None if database is None else maxminddb.open_database(database)
        self._loopback_region = loopback_region
        self._places: OrderedDict[str | None, Place] = OrderedDict()

    def locate(self, peer: str | None) -> Place:
        """The place of a peer's address; an unknown one is nowhere."""
        place = self._places.get(peer)
        if place is None:
            place = self._places[peer] = self._look_up(peer)
            if len(self._places) > PLACES_MAX:
                self._places.popitem(last=False)
        return place

    def _look_up(self, peer: str | None) -> Place:
        address = _parse(peer)
        if address is None:
            return Place()
        found = self._find(address)
        region = found.get("country", {}).get("iso_code", "") if found else ""
        if not region and address.is_loopback:
            region = self._loopback_region
        return Place(
            region=region,
            asn=found.get("autonomous_system_number", 0) if found else 0,
            network=cut(address),
        )

    def close(self) -> None:
        """Closes the database."""
        if self._reader is not None:
            self._reader.close()

    def _find(self, address: _Address) -> dict[str, Any] | None:
        if self._reader is None:
            return None
        try:
            found = self._reader.get(address)
        except ValueError:  # an IPv6 address in a database of IPv4 alone
            return None
        return found if isinstance(found, dict) else None


def cut(address: _Address) -> str:
    """The network of an address, which names no person."""
    prefix = IPV4_PREFIX if address.version == 4 else IPV6_PREFIX
    return str(ipaddress.ip_network((address, prefix), strict=False))


def _parse(peer: str | None) -> _Address | None:
    try:
        address = ipaddress.ip_address((peer or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
