"""`playhead worker`: another process of a worker has a name and files of its own."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from infra.cli.worker import command
from infra.workers import FIRST_INSTANCE, place_of


def test_only_further_processes_have_files_of_their_own() -> None:
    assert place_of("fold", FIRST_INSTANCE) == "fold"
    assert place_of("fold", "2") == "fold-2"


@pytest.mark.parametrize("instance", ["", "..", "a/b", "a b", "x" * 33])
def test_a_name_that_is_no_file_name_is_refused(instance: str) -> None:
    result = CliRunner().invoke(command, ["fold", "--instance", instance])
    assert result.exit_code == 2
    assert "--instance" in result.output
