"""CMSD and CMCD as an edge meets them (CTA-5006, CTA-5004): one header out, raw text in."""

from __future__ import annotations

from collections.abc import Mapping

CMSD_DYNAMIC = "CMSD-Dynamic"
CMCD_HEADERS = ("CMCD-Request", "CMCD-Object", "CMCD-Status", "CMCD-Session")
CMCD_CHARS_MAX = 4096


def cmsd_dynamic(edge: str, ceiling_kbps: int) -> str:
    """A one-hop list that tells players the most they should ask for."""
    return f'"edge-{edge}";mb={ceiling_kbps}'


def raw_cmcd(query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The request's CMCD keys as they came, unread; headers win; an overlong set is dropped.

    Cutting it would change the meaning of its last key.
    """
    sent = [headers[name] for name in CMCD_HEADERS if headers.get(name)]
    text = ",".join(sent) if sent else query.get("CMCD", "")
    return text if len(text) <= CMCD_CHARS_MAX else ""
