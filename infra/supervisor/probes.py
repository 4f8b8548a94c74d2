"""Readiness probes that need no client library."""

import asyncio
from urllib.parse import urlsplit

from infra.supervisor.component import Probe

ANSWER_TIMEOUT_S = 2.0


def http_probe(url: str) -> Probe:
    """A probe that is true when GET `url` (plain http) answers 2xx."""

    async def answers() -> bool:
        return 200 <= await fetch_status(url) < 300

    return answers


async def fetch_status(url: str) -> int:
    """The status that GET `url` answers, or 0 for anything that is not an HTTP answer.

    Raises OSError when nobody listens and TimeoutError after ANSWER_TIMEOUT_S.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            request = f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode("ascii"))
            await writer.drain()
            words = (await reader.readline()).split()
        finally:
            writer.close()
    is_answer = len(words) >= 2 and words[0].startswith(b"HTTP/") and words[1].isdigit()
    return int(words[1]) if is_answer else 0
