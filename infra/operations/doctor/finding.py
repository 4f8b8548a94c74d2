"""One thing that was looked at, and how all of them are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec

from infra.deployment import Deployment
from infra.operations.log_access import LogUnreachableError
from infra.settings import SettingsError
from schemas.errors import PlayheadError

CHECK_TIMEOUT_S: Final = 30


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, what was seen, and the mend where it is bad."""

    check: str
    is_ok: bool
    says: str
    mend: str = ""


Check = Callable[[Deployment, int], Awaitable[list[Finding]]]
"""Looks at one thing of the deployment at `now_ms`; may raise PlayheadError where it cannot."""


def good(check: str, says: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, is_ok=True, says=says)


def bad(check: str, says: str, mend: str) -> Finding:
    """Something to do."""
    return Finding(check=check, is_ok=False, says=says, mend=mend)


async def run_checks(
    checks: Iterable[tuple[str, Check]], deployment: Deployment, now_ms: int
) -> list[Finding]:
    """All findings in the order of the checks; one that cannot look is itself a bad finding."""
    lists = await asyncio.gather(*(_run(name, check, deployment, now_ms) for name, check in checks))
    return [finding for found in lists for finding in found]


async def _run(name: str, check: Check, deployment: Deployment, now_ms: int) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check(deployment, now_ms)
    except TimeoutError:
        return [
            bad(name, f"no answer within {CHECK_TIMEOUT_S} s", "does it run? `playhead status`")
        ]
    except LogUnreachableError as error:
        return [bad(name, str(error), "does it run? `playhead status`; else mend its address")]
    except (PlayheadError, SettingsError, OSError) as error:
        return [bad(name, str(error), "mend what stands above first, then look again")]
