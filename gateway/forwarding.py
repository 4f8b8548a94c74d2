"""Whose address a request comes from: the peer's, or what proxies say that the operator trusts.

Each proxy adds the address that it was asked from at the right. So the right-most address that is
no trusted proxy's is the one that a trusted proxy saw; what stands left of it, anybody may have
written. Only the header that the operator named is read: a proxy hands the other one on as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal

import msgspec
from aiohttp import web
from aiohttp.web import RequestKey

from gateway.region import Address, parse_address

HOPS_MAX: Final = 32
ADDRESS: Final = RequestKey("address", str)
"""Set for every request before its handler runs; empty: it cannot be told."""

Network = IPv4Network | IPv6Network
ForwardingHeader = Literal["X-Forwarded-For", "Forwarded"]


class TrustedProxies(msgspec.Struct, frozen=True, kw_only=True):
    """Who is believed, and by which header."""

    networks: tuple[Network, ...] = ()
    header: ForwardingHeader = "X-Forwarded-For"

    def has(self, address: Address) -> bool:
        """Whether the address is a trusted proxy's."""
        return any(
            address.version == network.version and address in network for network in self.networks
        )


def client_address(peer: str | None, lines: Sequence[str], trusted: TrustedProxies) -> str:
    """The client's address; `lines` are those of the trusted proxies' header, as they came.

    Without the header nobody was asked for by a proxy: it is the peer's. Empty where the header
    hides it or nobody can read it: the proxy's own address would be another place.
    """
    address = parse_address(peer)
    if address is None or not trusted.has(address):
        return peer or ""
    hops = list(_hops(",".join(lines), trusted.header)) if lines else []
    for hop in reversed(hops[-HOPS_MAX:]):
        found = _address_of(hop)
        if found is None:
            return ""
        address = found
        if not trusted.has(address):
            break
    return str(address)


def note_address(request: web.Request, trusted: TrustedProxies) -> None:
    """Keep the client's address with the request."""
    if not trusted.networks:
        request[ADDRESS] = request.remote or ""
        return
    lines = request.headers.getall(trusted.header, ())
    request[ADDRESS] = client_address(request.remote, lines, trusted)


def address_of(request: web.Request) -> str:
    """The client's address; empty where it cannot be told."""
    address: str = request.get(ADDRESS, request.remote or "")
    return address


def _hops(text: str, header: ForwardingHeader) -> Iterator[str]:
    """What each proxy wrote, left to right; empty where it says no address."""
    if header == "Forwarded":
        return _forwarded(text)
    return (hop.strip() for hop in text.split(","))


_PAIR: Final = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]+))[ \t]*([;,]|$)"
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)")


def _forwarded(text: str) -> Iterator[str]:
    """The `for` of each element (RFC 7239, section 4); an empty one where it has none or two, and
    in place of everything from what cannot be read."""
    place, said, is_open = 0, list[str](), True
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            yield ""
            return
        name, quoted, token, end = pair.groups()
        if name.lower() == "for":
            said.append(_QUOTED_PAIR.sub(r"\1", quoted) if quoted is not None else token)
        place, is_open = pair.end(), end == ";"
        if not is_open:
            yield said[0] if len(said) == 1 else ""
            said = []
    if is_open:  # the last element ended with a semicolon, or there is none
        yield said[0] if len(said) == 1 else ""


_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}")


def _address_of(hop: str) -> Address | None:
    """None for `unknown` and for names that hide who it is (RFC 7239, section 6)."""
    with_port = _WITH_PORT.fullmatch(hop)
    return parse_address(hop if with_port is None else with_port[1] or with_port[2])
