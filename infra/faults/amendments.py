"""What the stage changes in the table of components, as pure functions of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from infra.supervisor.component import Component

OURS: Final = ("-m", "infra.cli")
HOST: Final = "127.0.0.1"

Launchers = Mapping[str, Sequence[str]]
"""By component: what Python runs instead of `-m infra.cli`, before the same arguments."""
Listeners = Mapping[str, str]
"""Kafka settings whose values are lists, and what is added to each."""


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """One change to one component."""

    component: str
    env: Mapping[str, str] = {}
    launcher: tuple[str, ...] = ()
    listeners: Listeners = {}


def kafka_listeners(ports: Mapping[str, tuple[int, int]]) -> Listeners:
    """Listeners of Kafka's own behind proxies: by name, where it listens and what it advertises."""
    return {
        "listeners": "".join(f",{name}://{HOST}:{port}" for name, (port, _) in ports.items()),
        "advertised.listeners": "".join(
            f",{name}://{HOST}:{told}" for name, (_, told) in ports.items()
        ),
        "listener.security.protocol.map": "".join(f",{name}:PLAINTEXT" for name in ports),
    }


def amend(components: Iterable[Component], amendments: Iterable[Amendment]) -> list[Component]:
    """The table with the changes. Raises LookupError for a component that is not in it."""
    table = {component.name: component for component in components}
    for amendment in amendments:
        component = table[amendment.component]
        table[amendment.component] = msgspec.structs.replace(
            component,
            env={**component.env, **amendment.env},
            argv=_argv(component.argv, amendment),
        )
    return list(table.values())


def _argv(argv: tuple[str, ...], amendment: Amendment) -> tuple[str, ...]:
    if amendment.launcher:
        start = argv.index(OURS[0])
        assert argv[start : start + 2] == OURS, "only our own commands have launchers"
        argv = (*argv[:start], *amendment.launcher, *argv[start + 2 :])
    for name, more in amendment.listeners.items():
        argv = (*argv, "--override", f"{name}={_override(argv, name)}{more}")
    return argv


def _override(argv: Sequence[str], name: str) -> str:
    """The value that the table gives; the last one counts, in Kafka too."""
    values = [word.partition("=")[2] for word in argv if word.startswith(f"{name}=")]
    return values[-1] if values else _DEFAULTS[name]


_DEFAULTS: Final = {"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"}
"""What `server.properties` says where the command line says nothing."""
