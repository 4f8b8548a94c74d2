"""Answers as bytes, for requests that are served or refused without aiohttp."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

from aiohttp.helpers import rfc822_formatted_time

from gateway.cors import OWN_HEADERS

Headers = tuple[tuple[str, str], ...]


def whole_answer(status: int, headers: Headers, body: bytes = b"") -> bytes:
    """What aiohttp would write now."""
    length = b"" if status == HTTPStatus.NO_CONTENT else b"Content-Length: %d\r\n" % len(body)
    date = rfc822_formatted_time().encode()
    return b"%bDate: %b\r\n%b\r\n%b" % (_head(status, headers), date, length, body)


@lru_cache(maxsize=1_024)
def _head(status: int, headers: Headers) -> bytes:
    """What does not change from answer to answer."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in (*headers, *OWN_HEADERS.items())]
    return "\r\n".join([*lines, ""]).encode()
