"""Fixtures only; nothing is imported from here."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from infra.stack import with_bytecode
from streams.broker import Broker
from tests.integration import broker as kafka_support
from tests.side_by_side import SideBySide

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("playhead", deadline=None)
settings.load_profile("playhead")


def pytest_configure() -> None:
    """Tests and the processes they start find compiled files, whatever the shell wants of them."""
    environment = with_bytecode(os.environ, kafka_support.runtime_folder())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update(environment)
    sys.dont_write_bytecode = False
    sys.pycache_prefix = environment.get("PYTHONPYCACHEPREFIX", sys.pycache_prefix)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    """See `make test`."""
    return SideBySide(config, log)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka_support.Broker]:
    """One real broker for the whole run; tests that kill brokers start their own."""
    with kafka_support.running_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def broker(kafka: kafka_support.Broker) -> Broker:
    """The broker under a namespace of this test's own."""
    return Broker(bootstrap=kafka.bootstrap, namespace=f"t{secrets.token_hex(4)}")
