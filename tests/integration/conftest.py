"""Fixtures only; nothing is imported from here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.commands import Operator, an_operated_deployment


@pytest.fixture(scope="session")
async def operator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operator]:
    """A whole deployment with one title, for all tests that leave it as useful as it was."""
    async with an_operated_deployment(tmp_path_factory.mktemp("operated")) as running:
        yield running
