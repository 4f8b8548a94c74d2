"""Fixtures only."""

from __future__ import annotations

import pytest

from tests.gateway_fakes import World


@pytest.fixture
def world() -> World:
    return World()
