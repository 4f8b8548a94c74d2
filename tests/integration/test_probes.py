"""The readiness probe over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infra.supervisor.probes import http_probe


@asynccontextmanager
async def answering(head: bytes) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/readyz?deep=1"


@pytest.mark.parametrize(
    ("head", "is_ready"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"220 mail.example.org ready\r\n", False),
        (b"", False),
    ],
)
async def test_only_a_2xx_answer_is_ready(head: bytes, is_ready: bool) -> None:
    async with answering(head) as url:
        assert await http_probe(url)() is is_ready


async def test_a_closed_port_raises_what_the_supervisor_takes_for_not_ready() -> None:
    async with answering(b"") as url:
        pass
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await http_probe(url)()
