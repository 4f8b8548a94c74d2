"""Starts a child in a process group of its own that does not outlive its parent."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

RUN_ID_VARIABLE = "SUPERVISOR_RUN_ID"

_PR_SET_PDEATHSIG = 1


def start_child(
    argv: Sequence[str], env: Mapping[str, str], output: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start `argv` with stdout and stderr to `output`; call it from the main thread only.

    On Linux the kernel kills the child when the thread that started it ends, even by kill -9.
    """
    return subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=die_with_parent(),  # noqa: PLW1509 (two system calls, no lock is taken)
    )


def in_new_child(nice: int) -> Callable[[], None]:
    """What a new child calls first: it yields the processor by `nice` and dies with its parent."""
    bind = die_with_parent()

    def prepare() -> None:
        if bind is not None:
            bind()
        if nice:
            os.nice(nice)

    return prepare


def die_with_parent() -> Callable[[], None] | None:
    """What a new child must call first to be killed with its parent; None where unsupported."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It died before the call above.
            os._exit(1)

    return bind


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal the whole group that `start_child` made; a group that is gone is left alone."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS denies it for a group of zombies.
        return


def find_marked(run_id: str) -> list[int]:
    """The processes that carry `run_id` in their environment.

    This finds the children of children too, whatever group they made. Only Linux tells.
    """
    mark = f"{RUN_ID_VARIABLE}={run_id}".encode()
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # It ended meanwhile, or is another user's.
            continue
    return found


def kill_marked(run_id: str) -> int:
    """kill -9 whatever still carries `run_id`; return how many did."""
    found = find_marked(run_id)
    for pid in found:
        with suppress(ProcessLookupError):  # It ended meanwhile.
            os.kill(pid, signal.SIGKILL)
    return len(found)
