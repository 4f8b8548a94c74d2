"""Where an address is, as coarsely as rules need it, and whether it hides where its user is."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import maxminddb
import msgspec

from schemas.sessions import Anonymizer

IPV4_PREFIX = 24
IPV6_PREFIX = 48
PLACES_MAX = 20_000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an address."""

    region: str = ""
    """ISO 3166-1; empty where unknown."""
    asn: int = 0
    network: str = ""
    """Cut to /24 or /48: the address itself goes no further."""
    anonymizers: tuple[Anonymizer, ...] | None = None
    """What it hides behind; None: no database says."""


_KINDS: Final[Mapping[str, Anonymizer]] = {
    "is_anonymous_vpn": "vpn",
    "is_hosting_provider": "hosting",
    "is_public_proxy": "public-proxy",
    "is_residential_proxy": "residential-proxy",
    "is_tor_exit_node": "tor",
}
"""MaxMind's fields, at a record's top (Anonymous IP) or below `traits` (GeoIP2 Enterprise)."""


class Regions:
    """Looks addresses up in MaxMind-format databases, where there are any."""

    def __init__(
        self, database: Path | None, loopback_region: str, anonymizers: Path | None = None
    ) -> None:
        self._reader = None if database is None else maxminddb.open_database(database)
        self._anonymizers = None if anonymizers is None else maxminddb.open_database(anonymizers)
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
        address = parse_address(peer)
        if address is None:
            return Place()
        found = _find(self._reader, address) or {}
        region = found.get("country", {}).get("iso_code", "")
        if not region and address.is_loopback:
            region = self._loopback_region
        return Place(
            region=region,
            asn=found.get("autonomous_system_number", 0),
            network=cut(address),
            anonymizers=self._kinds(address, found),
        )

    def _kinds(self, address: Address, found: Mapping[str, Any]) -> tuple[Anonymizer, ...] | None:
        """A database of anonymizers leaves all others out; one of regions has fields of them."""
        if self._anonymizers is not None:
            if address.version > self._anonymizers.metadata().ip_version:
                return None
            return _kinds_in(_find(self._anonymizers, address) or {})
        fields = {**found, **found.get("traits", {})}
        return _kinds_in(fields) if fields.keys() & _KINDS.keys() else None

    def close(self) -> None:
        """Closes the databases."""
        for reader in (self._reader, self._anonymizers):
            if reader is not None:
                reader.close()


def _find(reader: maxminddb.Reader | None, address: Address) -> dict[str, Any] | None:
    if reader is None:
        return None
    try:
        found = reader.get(address)
    except ValueError:  # an IPv6 address in a database of IPv4 alone
        return None
    return found if isinstance(found, dict) else None


def _kinds_in(fields: Mapping[str, Any]) -> tuple[Anonymizer, ...]:
    return tuple(kind for name, kind in _KINDS.items() if fields.get(name) is True)


def cut(address: Address) -> str:
    """The network of an address, which names no person."""
    prefix = IPV4_PREFIX if address.version == 4 else IPV6_PREFIX
    return str(ipaddress.ip_network((address, prefix), strict=False))


def parse_address(peer: str | None) -> Address | None:
    """The address, an IPv4 one where it is mapped into IPv6; None where it is none."""
    try:
        address = ipaddress.ip_address((peer or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
