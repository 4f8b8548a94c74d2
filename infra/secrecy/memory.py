"""What a running process holds and shows: its memory, its command line, its environment (Linux).

A process's memory as it is now is what a heap dump or a core file of it would hold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from infra.faults.secrecy import BLOCK_BYTES, Needle, found_in

_MAPPED: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r(.)..\S* \S+ \S+ (\d+)")
"""Address range, whether it is written to, and the inode of a mapped file (0: none)."""


class MemoryUnreadableError(OSError):
    """The operating system does not let us look into the process."""


def family_of(pid: int) -> list[int]:
    """The process and everything it started that still runs."""
    found, waiting = list[int](), [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        for path in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in path.read_text().split()]
            except OSError:
                continue  # a thread that ended meanwhile
    return found


def found_in_memory(pid: int, needles: Iterable[Needle]) -> set[str]:
    """What stands in the memory that the process can write to.

    Raises MemoryUnreadableError where nobody may look, ProcessLookupError where it has ended.
    """
    return found_in(_memory_of(pid), needles)


def found_in_process_list(pid: int, needles: Iterable[Needle]) -> set[str]:
    """What everybody on the machine sees of the process, and what its owner sees: the environment.

    Raises ProcessLookupError where it has ended.
    """
    wanted, found = list(needles), set[str]()
    for name in ("cmdline", "environ"):
        try:
            found |= found_in([Path(f"/proc/{pid}/{name}").read_bytes()], wanted)
        except FileNotFoundError as error:
            raise ProcessLookupError(f"process {pid} has ended") from error
    return found


def _memory_of(pid: int) -> Iterator[bytes]:
    try:
        ranges = list(_written_ranges(Path(f"/proc/{pid}/maps").read_text()))
        descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid} has ended") from error
    except PermissionError as error:
        raise MemoryUnreadableError(
            f"the memory of process {pid} may not be read: run as its user, with"
            " kernel.yama.ptrace_scope at most 1"
        ) from error
    try:
        for begin, end in ranges:
            yield from _blocks(descriptor, begin, end)
            yield b"\0"  # what lies in two ranges stands nowhere
    finally:
        os.close(descriptor)


def _blocks(descriptor: int, begin: int, end: int) -> Iterator[bytes]:
    while begin < end:
        try:
            block = os.pread(descriptor, min(BLOCK_BYTES, end - begin), begin)
        except OSError:
            return  # unmapped meanwhile
        if not block:
            return
        yield block
        begin += len(block)


def _written_ranges(maps: str) -> Iterator[tuple[int, int]]:
    """Readable memory that is written to, or that no file stands behind."""
    for line in maps.splitlines():
        found = _MAPPED.match(line)
        if found is None or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
            continue
        if found[3] == "w" or found[4] == "0":
            yield int(found[1], 16), int(found[2], 16)
