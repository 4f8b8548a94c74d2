"""Connections to services outside: a name leads nowhere on this machine, or on its own link.

A name is looked up again with every connection, and whoever answers for it may answer otherwise
then (DNS rebinding): so each answer is judged, and the very address that was judged is connected
to. Private networks are allowed, where an operator may have services of his own.
"""

from __future__ import annotations

import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.region import parse_address


class OutwardResolver(AbstractResolver):
    """The system's resolver, without the answers that lead inside."""

    def __init__(self) -> None:
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError where no address is left."""
        found = await self._system.resolve(host, port, family)
        if host == "localhost":  # this machine by its own name, as an operator wrote it
            return found
        outside = [each for each in found if not is_inside(each["host"])]
        if not outside:
            raise OSError(f"{host} leads to this machine or its link")
        return outside

    async def close(self) -> None:
        """Nothing is held."""
        await self._system.close()


def outward_connector(*, connections_max: int = 100) -> aiohttp.TCPConnector:
    """For a session that asks services outside; made on the event loop."""
    return aiohttp.TCPConnector(limit=connections_max, resolver=OutwardResolver())


def is_inside(host: str) -> bool:
    """Whether it is an address of this machine, of its link (cloud metadata), or of nobody."""
    address = parse_address(host)
    if address is None:
        return False
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or (address.version == 4 and address.is_reserved)
    )
