"""Runs one media program: no shell, no key in its arguments, ended with its caller."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.content.errors import MediaToolError

STDERR_LINES_KEPT = 12
LINE_BYTES_MAX = 1 << 20


async def run_tool(
    args: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    stdin: bytes = b"",
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Runs to the end and gives what was printed; lines go to `on_line` as they come instead.

    MediaToolError holds the last lines of stderr. Cancelling kills the program.
    """
    process = await asyncio.create_subprocess_exec(
        *map(str, args),
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    errors: deque[str] = deque(maxlen=STDERR_LINES_KEPT)
    printed: list[str] = []
    try:
        await asyncio.gather(
            _feed(process, stdin),
            _lines(process.stdout, on_line or printed.append),
            _lines(process.stderr, errors.append),
        )
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        raise MediaToolError(f"{Path(args[0]).name} ended with {code}: " + " | ".join(errors))
    return "\n".join(printed)


async def _feed(process: asyncio.subprocess.Process, stdin: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(stdin)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # It ended before it read; its exit code tells why.
    finally:
        process.stdin.close()


async def _lines(stream: asyncio.StreamReader | None, take: Callable[[str], None]) -> None:
    assert stream is not None
    async for line in stream:
        take(line.decode(errors="replace").rstrip())
