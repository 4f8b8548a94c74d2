"""I9 at its full width: a whole deployment, a viewer, every place, and a planted secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.secrecy.scan import scan_secrets
from tests.integration.broker import runtime_folder


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_no_secret_is_found_where_it_must_not_be_and_a_planted_one_is(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    report = await scan_secrets(tmp_path / "home", runtime=runtime_folder(), say=said.append)
    assert report.hits == ()
    assert report.planted_not_found == ()
    assert report.is_clean
    assert report.secrets > 10
    assert all(report.looked_into.values()), report.looked_into
    assert said
