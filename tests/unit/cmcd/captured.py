"""The CMCD of the three players as captured from their unmodified builds."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

CAPTURES = Path(__file__).parents[2] / "contracts" / "captures"
PLAYERS = ("shaka", "dashjs", "hlsjs")


def event_lines(player: str) -> list[str]:
    text = (CAPTURES / player / "cmcd_v2_events_batch1.cmcd").read_text()
    return [line for line in text.split("\n") if line]


def event_body(player: str) -> bytes:
    return (CAPTURES / player / "cmcd_v2_events_batch1.cmcd").read_bytes()


def query_sets(player: str, version: int) -> list[str]:
    """The decoded CMCD query argument of every request of a session."""
    text = (CAPTURES / player / f"cmcd_v{version}_query.txt").read_text()
    targets = re.findall(r"^   raw: (\S+)", text, re.MULTILINE)
    return [parse_qs(urlsplit(target).query)["CMCD"][0] for target in targets]


def header_sets(player: str) -> list[dict[str, str]]:
    """The CMCD headers of every request that carried some."""
    text = (CAPTURES / player / "cmcd_v2_headers.http").read_text()
    sets = []
    for request in text.split("\n\n"):
        found = re.findall(r"^(cmcd-\w+): (.+)$", request, re.MULTILINE | re.IGNORECASE)
        if found:
            sets.append({name.title().replace("Cmcd", "CMCD"): value for name, value in found})
    return sets
