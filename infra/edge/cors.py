"""CORS as players need it: open for objects, and only to local pages for the demo's switches."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

ALLOWED_HEADERS = (
    "content-type, authorization, range, cmcd-object, cmcd-request, cmcd-session, cmcd-status, "
    "cta-common-access-token"
)
EXPOSED_HEADERS = "CMSD-Static, CMSD-Dynamic, Retry-After, Date, Content-Length, Content-Range, Age"


def object_headers(origin: str | None) -> dict[str, str]:
    """For every answer about objects, errors too: a player must be able to read their status."""
    return {
        "Access-Control-Allow-Origin": origin or "*",
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        "Timing-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Origin",
    }


def preflight_headers(methods: str) -> dict[str, str]:
    """What is added to the answer of an OPTIONS request."""
    return {
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": ALLOWED_HEADERS,
        "Access-Control-Max-Age": "7200",
    }


def is_local_caller(remote: str | None, headers: Mapping[str, str]) -> bool:
    """True for a client on this machine whose page, if any, came from this machine too.

    A page from elsewhere, or one whose name was rebound to loopback, must not switch anything.
    """
    if not is_loopback(remote or "") or not is_loopback(_host_of("//" + headers.get("Host", ""))):
        return False
    origin = headers.get("Origin")
    return origin is None or is_loopback(_host_of(origin))


def is_loopback(host: str) -> bool:
    """By name or address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
