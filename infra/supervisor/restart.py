"""Decides whether and when a component that has died is started again."""

import msgspec

# One that has run this long is taken to be sound; its next death starts the count anew.
SOUND_AFTER_S = 20.0
DELAY_FIRST_S = 0.5
DELAY_MAX_S = 10.0
DOUBLINGS_MAX = 16
# Before everything was ready once, a component that keeps dying is a fault of the set-up.
START_DEATHS_MAX = 4


class RestartDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Start again after `delay_s`, or give up; `quick_death_count` goes into the next decision."""

    quick_death_count: int
    delay_s: float
    gives_up: bool


def decide_restart(
    *, quick_death_count: int, uptime_s: float, was_ready: bool, all_were_ready: bool
) -> RestartDecision:
    """Decide about a component that died after `uptime_s`.

    The first death of one that was ready is answered at once (it was killed), further quick ones
    with a delay that doubles up to DELAY_MAX_S. Once all were ready nothing is given up: the
    others go on serving, and what was missing may come back.
    """
    count = 1 if uptime_s >= SOUND_AFTER_S else quick_death_count + 1
    was_killed = was_ready and count == 1
    doublings = min(count - 1, DOUBLINGS_MAX)
    return RestartDecision(
        quick_death_count=count,
        delay_s=0.0 if was_killed else min(DELAY_MAX_S, DELAY_FIRST_S * 2.0**doublings),
        gives_up=not all_were_ready and count >= START_DEATHS_MAX,
    )
