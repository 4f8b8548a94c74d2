"""Fixtures only; nothing is imported from here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.restarts.restartable import Restartable


@pytest.fixture(scope="package")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Restartable]:
    """Everything, once for all tests; each module leaves it running."""
    running = Restartable(tmp_path_factory.mktemp("restarts") / "home")
    await running.start()
    yield running
    await running.end()
