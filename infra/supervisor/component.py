"""What the supervisor runs: the table of components, and questions to it that need no process."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec

from infra.supervisor.errors import ComponentTableError

Probe = Callable[[], Awaitable[bool]]
Work = Callable[[], Awaitable[None]]


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One process, when it may start, how it tells that it is ready, how long it may stop.

    `after` names the components that must have been ready once before this one starts.
    `ready` is asked again and again until it answers true; it must not raise but OSError.
    `then` runs in the supervisor after the first time it is ready, before its dependents start.
    `nice` is added to the priority number: the higher, the less of a busy machine it gets.
    `once` marks work that ends by itself: it is ready when it has ended with 0, and not run again.
    Stages stop from the highest to the lowest, each one's components together.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Probe | None = None
    then: Work | None = None
    after: tuple[str, ...] = ()
    port: int | None = None
    stage: int = 0
    grace_s: float = 3.0
    ready_timeout_s: float = 180.0
    once: bool = False
    nice: int = 0


def check_table(components: Sequence[Component]) -> None:
    """Raise ComponentTableError unless every component can be started."""
    names = [component.name for component in components]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ComponentTableError(f"named twice: {', '.join(sorted(twice))}")
    startable: set[str] = set()
    waiting = {component.name: set(component.after) for component in components}
    if unknown := {name for after in waiting.values() for name in after} - set(names):
        raise ComponentTableError(f"not in the table: {', '.join(sorted(unknown))}")
    while waiting:
        freed = {name for name, after in waiting.items() if after <= startable}
        if not freed:
            raise ComponentTableError(f"wait for each other: {', '.join(sorted(waiting))}")
        startable |= freed
        waiting = {name: after for name, after in waiting.items() if name not in freed}


def select(components: Sequence[Component], only: Iterable[str]) -> tuple[Component, ...]:
    """Return the components named in `only`; what they would wait for is taken to run elsewhere.

    Raises ComponentTableError on a name that is not in the table.
    """
    wanted = set(only)
    if unknown := wanted - {component.name for component in components}:
        raise ComponentTableError(f"not in the table: {', '.join(sorted(unknown))}")
    return tuple(
        msgspec.structs.replace(
            component, after=tuple(name for name in component.after if name in wanted)
        )
        for component in components
        if component.name in wanted
    )


def stop_stages(components: Sequence[Component]) -> list[list[Component]]:
    """The components in the order in which they are stopped, those of one stage together."""
    stages = sorted({component.stage for component in components}, reverse=True)
    return [[each for each in components if each.stage == stage] for stage in stages]
