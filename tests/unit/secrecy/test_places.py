"""A planted secret is found in each kind of place that needs no deployment; nothing else is."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

import pytest

from infra.faults.secrecy import EVERYWHERE, Needle, found_in
from infra.secrecy.answers import found_in_answers
from infra.secrecy.memory import family_of, found_in_memory, found_in_process_list
from infra.secrecy.planting import NAME, Plant
from infra.secrecy.scan import CONTROL, Hit, reported
from infra.secrecy.topics import record_bytes

OTHER = Plant().needles


async def test_a_planted_secret_is_found_in_metrics_memory_and_process_list() -> None:
    plant = Plant()
    async with plant.in_metrics() as urls:
        assert await found_in_answers(urls, plant.needles) == {NAME: {NAME}}
        assert await found_in_answers(urls, OTHER) == {}
    async with plant.in_process() as pid:
        assert found_in_memory(pid, plant.needles) == {NAME}
        assert found_in_process_list(pid, plant.needles) == {NAME}
        assert found_in_memory(pid, OTHER) == set()
        assert found_in_process_list(pid, OTHER) == set()
        assert found_in_memory(pid, [EVERYWHERE]) == {EVERYWHERE.name}
    with pytest.raises(ProcessLookupError):
        found_in_memory(pid, plant.needles)


async def test_what_a_process_started_is_looked_into_as_well() -> None:
    script = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()']);"
        " print(child.pid, flush=True); child.wait()"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        child = int(await process.stdout.readline())
        assert family_of(process.pid) == [process.pid, child]
    finally:
        process.stdin.write(b"\n")
        process.stdin.close()
        await process.wait()


def test_key_value_and_headers_of_a_record_are_looked_at() -> None:
    plant = Plant()
    secret = plant.needles[0].data
    for record in (
        SimpleNamespace(key=secret, value=None, headers=()),
        SimpleNamespace(key=b"k", value=b"v" + secret, headers=()),
        SimpleNamespace(key=None, value=b"v", headers=[("name", secret)]),
        SimpleNamespace(key=None, value=b"v", headers=[(secret.hex(), b"")]),
    ):
        assert found_in([record_bytes(record)], plant.needles) == {NAME}
    halves = SimpleNamespace(key=secret[:16], value=secret[16:], headers=())
    assert found_in([record_bytes(halves)], plant.needles) == set()


def test_a_plant_is_unprintable() -> None:
    assert repr(Plant()) == "Plant(***)"


NEEDLES = [EVERYWHERE, CONTROL, Needle("password", b"p" * 24)]
SEEN = {EVERYWHERE.name, CONTROL.name}


def test_a_search_that_finds_its_control_and_no_secret_is_clean() -> None:
    places = {kind: {"a": SEEN} for kind in ("topic", "table", "file")} | {
        "memory": {"kafka": {""}}
    }
    report = reported(NEEDLES, places, ())
    assert report.is_clean
    assert (report.secrets, report.forms) == (1, 1)
    assert report.looked_into == {"topic": 1, "table": 1, "file": 1, "memory": 1}


def test_a_secret_anywhere_is_a_hit() -> None:
    places = {"topic": {"a": SEEN}, "table": {"b": SEEN}, "file": {"c": {*SEEN, "password"}}}
    report = reported(NEEDLES, places, ())
    assert report.hits == (Hit(secret="password", place="file c"),)
    assert not report.is_clean


@pytest.mark.parametrize("blind", ["topic", "table", "file"])
def test_a_search_that_misses_what_must_be_there_proves_nothing(blind: str) -> None:
    places = {kind: {"a": SEEN} for kind in ("topic", "table", "file")}
    places[blind] = {"a": {EVERYWHERE.name}}
    report = reported(NEEDLES, places, ())
    assert not report.is_clean
    assert report.planted_not_found == (f"{blind} (control)",)
    assert not reported(NEEDLES, places, ("memory",)).is_clean
