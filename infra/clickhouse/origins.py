"""Refuses web pages: any page of any site may send requests to a port on loopback, its browser's
user unaware.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

LOOPBACK_NAMES: Final = frozenset(("127.0.0.1", "localhost", "::1"))


def foreign_reason(headers: Mapping[str, str], host_names: Collection[str]) -> str | None:
    """Why the request is refused; None where it comes from no page, or from one of our own names.

    A foreign Host means that a name of somebody else's was made to point here (DNS rebinding); a
    foreign or hidden Origin means that a page of another site asks.
    """
    host = _host_name(f"//{headers.get('Host', '')}")
    if host not in host_names:
        return f"Host {host or '(none)'} is not a name of this server"
    origin = headers.get("Origin")
    if origin is not None and _host_name(origin) not in host_names:
        return f"Origin {origin!r} may not use this server"
    if headers.get("Sec-Fetch-Site") == "cross-site":
        return "Pages of other sites may not use this server"
    return None


def _host_name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
