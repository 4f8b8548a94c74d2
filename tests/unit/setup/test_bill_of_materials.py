"""The bill of materials names what the locks pin, once, with its hashes (T28)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from infra.cli.main import playhead
from infra.kafka.jars import read_lock
from infra.players.library import SOURCE
from infra.setup.bill_of_materials import bill_of_materials, read_pins
from infra.setup.environment import INSTALLER_LOCK, LOCKS
from infra.setup.installer import PIN

HASH_LENGTHS = {"SHA-256": 64, "SHA-512": 128}


@pytest.fixture(scope="module")
def components() -> dict[str, dict[str, Any]]:
    bill = msgspec.json.decode(bill_of_materials())
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert bill["metadata"]["component"]["name"] == "playhead"
    found = {each["bom-ref"]: each for each in bill["components"]}
    assert len(found) == len(bill["components"])
    return found


def test_every_pin_of_every_lock_is_in_it(components: dict[str, dict[str, Any]]) -> None:
    for lock in (*LOCKS.glob("*.txt"), INSTALLER_LOCK):
        for line in filter(PIN.match, lock.read_text().splitlines()):
            name, _, rest = line.partition("==")
            version = re.split(r"[\s;\\]", rest)[0]
            assert f"pkg:pypi/{name}@{version}" in components, (lock.name, line)
    for jar in read_lock():
        assert f"pkg:maven/{jar.group_id}/{jar.artifact_id}@{jar.version}" in components
    packages = msgspec.json.decode((SOURCE / "package-lock.json").read_bytes())["packages"]
    assert sum(ref.startswith("pkg:npm/") for ref in components) == len(packages) - 1


def test_every_package_has_its_hashes(components: dict[str, dict[str, Any]]) -> None:
    for ref, each in components.items():
        places = [each, *each.get("externalReferences", ())]
        hashes = [h for place in places for h in place.get("hashes", ())]
        assert hashes, ref
        for found in hashes:
            assert re.fullmatch(r"[0-9a-f]+", found["content"])
            assert len(found["content"]) == HASH_LENGTHS[found["alg"]], ref


def test_what_runs_is_told_from_what_only_tests(components: dict[str, dict[str, Any]]) -> None:
    scopes = {ref.partition("@")[0]: each["scope"] for ref, each in components.items()}
    assert scopes["pkg:pypi/aiohttp"] == "required"  # stands in each lock
    assert scopes["pkg:maven/org.apache.kafka/kafka-clients"] == "required"
    assert scopes["pkg:npm/hls.js"] == "required"
    assert scopes["pkg:pypi/hypothesis"] == "excluded"


def test_a_condition_and_all_hashes_of_a_pin_are_kept(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    one, other = "1" * 64, "2" * 64
    lock.write_text(
        f"a_b==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{one} \\\n"
        f"    --hash=sha256:{other}\nc==2 \\\n    --hash=sha256:{other}\n"
    )
    first, second = read_pins(lock, "required")
    assert (first.purl, first.condition) == ("pkg:pypi/a-b@1.0", "sys_platform == 'win32'")
    assert [value for _, value in first.file_hashes] == [one, other]
    assert (second.purl, second.condition, len(second.file_hashes)) == ("pkg:pypi/c@2", "", 1)


def test_the_command_writes_the_same_bytes_every_time(tmp_path: Path) -> None:
    out = tmp_path / "bill.json"
    assert CliRunner().invoke(playhead, ["sbom", "--out", str(out)]).exit_code == 0
    said = CliRunner().invoke(playhead, ["sbom"])
    assert out.read_bytes() == said.stdout_bytes == bill_of_materials()
