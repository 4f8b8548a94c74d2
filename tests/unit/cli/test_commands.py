"""The table of commands: every entry is there, helps, and gives an example."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from agents.analytics.sink import GROUP
from infra.cli.main import COMMANDS, playhead
from infra.operations.log_access import CONSUMER_GROUPS
from infra.workers import WORKER_NAMES


def commands_of(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands_of(child, (*path, name))


def every_command(name: str) -> list[tuple[str, ...]]:
    command = playhead.get_command(click.Context(playhead), name)
    assert command is not None
    return list(commands_of(command, (name,)))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_all_below_it_help_with_an_example(name: str) -> None:
    for path in every_command(name):
        shown = CliRunner().invoke(playhead, [*path, "--help"])
        assert shown.exit_code == 0, (path, shown.output)
        assert "Example: " in " ".join(shown.output.split()), path


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_is_not_there_is_wrong_use(name: str) -> None:
    shown = CliRunner().invoke(playhead, [name, "--no-such-option"])
    assert shown.exit_code == 2


def test_every_consumer_group_is_watched() -> None:
    assert GROUP in CONSUMER_GROUPS
    assert set(WORKER_NAMES) - {"analytics"} <= set(CONSUMER_GROUPS)
