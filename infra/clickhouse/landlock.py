"""Confines this process with Linux Landlock: below the given paths it may read or write, and
nothing else.

SQL can name files and commands, and no grant of ClickHouse stops all of it (see README.md), so the
kernel has to. It binds the calling thread and those started after: call it before anything starts a
thread.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# The numbers are those of Linux on every architecture that has them (x86-64, arm64, riscv64 and
# others).
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_TRUNCATE: Final = 1 << 14
_IOCTL_DEV: Final = 1 << 15
_FILE_RIGHTS: Final = _WRITE_FILE | _READ_FILE | _TRUNCATE
_ALL_RIGHTS_ABI_1: Final = (1 << 13) - 1
_RIGHTS_SINCE: Final = ((2, 1 << 13), (3, _TRUNCATE), (5, _IOCTL_DEV))
_NETWORK_RIGHTS: Final = 0b11  # bind and connect by TCP, ABI 4
_SCOPES: Final = 0b11  # abstract sockets and signals to others, ABI 6


def abi_version() -> int:
    """The kernel's Landlock version; 0 where it has none, as on macOS."""
    if not sys.platform.startswith("linux"):
        return 0
    result = _libc().syscall(
        _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_CREATE_RULESET_VERSION)
    )
    return max(0, int(result))


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> int:
    """Allows reading below `readable`, reading and writing below `writable`, and nothing else.

    No program can be executed, no TCP port bound or connected to; sockets that listen already go
    on. Paths that do not exist are left out. Returns the kernel's Landlock version, 0 if nothing
    was confined.
    """
    version = abi_version()
    if version == 0:
        return 0
    handled = _ALL_RIGHTS_ABI_1
    for since, right in _RIGHTS_SINCE:
        handled |= right if version >= since else 0
    ruleset = _create_ruleset(version, handled)
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(ruleset, path, handled & ~_EXECUTE & ~_IOCTL_DEV)
        if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs was refused")
        _call(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return version


def _create_ruleset(version: int, files: int) -> int:
    network = _NETWORK_RIGHTS if version >= 4 else 0
    scopes = _SCOPES if version >= 6 else 0
    length = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("=QQQ", files, network, scopes)[:length]
    return _call(_CREATE_RULESET, attributes, ctypes.c_size_t(length), ctypes.c_uint32(0))


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not path.is_dir():
            rights &= _FILE_RIGHTS if abi_version() >= 3 else _FILE_RIGHTS & ~_TRUNCATE
        rule = struct.pack("=Qi", rights, descriptor)
        _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
