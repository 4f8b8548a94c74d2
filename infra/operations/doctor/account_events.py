"""Account events: every one carries a MAC, or a release before that wrote them."""

from __future__ import annotations

from infra.deployment import Deployment
from infra.operations.doctor.finding import Finding, bad, good
from infra.operations.event_signing import begins_unsigned


async def check_account_events(deployment: Deployment, _: int) -> list[Finding]:
    """No partition begins with what an older release left unsigned."""
    if await begins_unsigned(deployment):
        return [
            bad(
                "account events",
                "an older release wrote them unsigned: nobody believes them",
                "playhead accounts sign-events --dry-run, then without it",
            )
        ]
    return [good("account events", "signed")]
