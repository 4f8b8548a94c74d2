"""The table of components."""

import pytest

from infra.supervisor.component import Component, check_table, select, stop_stages
from infra.supervisor.errors import ComponentTableError


def a_component(name: str, *after: str, stage: int = 0) -> Component:
    return Component(name=name, argv=("true",), env={}, after=after, stage=stage)


TABLE = (
    a_component("kafka"),
    a_component("license", "kafka", stage=1),
    a_component("gateway", "kafka", "license", stage=2),
    a_component("edge", stage=2),
)


def test_a_sound_table_is_accepted() -> None:
    check_table(TABLE)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ((a_component("kafka"), a_component("kafka")), "named twice: kafka"),
        ((a_component("gateway", "kafak"),), "not in the table: kafak"),
        ((a_component("a", "b"), a_component("b", "a")), "wait for each other: a, b"),
    ],
)
def test_a_wrong_table_is_refused_with_its_reason(
    table: tuple[Component, ...], reason: str
) -> None:
    with pytest.raises(ComponentTableError, match=reason):
        check_table(table)


def test_selected_components_wait_only_for_one_another() -> None:
    chosen = select(TABLE, ["gateway", "license"])
    assert [(each.name, each.after) for each in chosen] == [
        ("license", ()),
        ("gateway", ("license",)),
    ]


def test_selecting_an_unknown_component_is_refused() -> None:
    with pytest.raises(ComponentTableError, match="not in the table: gatewy"):
        select(TABLE, ["gatewy"])


def test_what_takes_requests_stops_first_and_the_log_last() -> None:
    stages = [[each.name for each in stage] for stage in stop_stages(TABLE)]
    assert stages == [["gateway", "edge"], ["license"], ["kafka"]]
