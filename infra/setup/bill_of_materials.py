"""Everything that is not ours and gets installed, read off the locks (CycloneDX 1.6, JSON).

The same locks give the same bytes: there is no time and no serial number in it, so that two bills
can be compared line by line.
"""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from infra.kafka.jars import read_lock
from infra.players.library import SOURCE as PLAYERS
from infra.setup.environment import INSTALLER_LOCK, LOCKS, ROOT

_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_SCOPES: Final = ("required", "optional", "excluded")
"""Strongest first. `excluded`: never on a machine that serves viewers."""
_PYTHON_LOCKS: Final = {
    LOCKS / "runtime.txt": "required",
    LOCKS / "content.txt": "optional",
    LOCKS / "test.txt": "excluded",
    INSTALLER_LOCK: "excluded",
}


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """One package of a lock."""

    purl: str
    name: str
    version: str
    scope: str
    group: str = ""
    hashes: tuple[tuple[str, str], ...] = ()
    """Of its one file: algorithm and hexadecimal value."""
    file_hashes: tuple[tuple[str, str], ...] = ()
    """Of files of which a machine installs one: a wheel for each platform."""
    condition: str = ""
    """Where it is installed at all: an environment marker."""


def bill_of_materials() -> bytes:
    """The bill of all locks as they are committed."""
    strongest: dict[str, Material] = {}
    for material in (*_python(), *_java(), *_javascript()):
        known = strongest.get(material.purl)
        if known is None or _SCOPES.index(material.scope) < _SCOPES.index(known.scope):
            strongest[material.purl] = material
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = {
        "type": "application",
        "bom-ref": "playhead",
        "name": project["name"],
        "version": project["version"],
        "licenses": [{"license": {"id": project["license"]}}],
    }
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": ours},
        "components": [_component(each) for _, each in sorted(strongest.items())],
    }
    return msgspec.json.format(msgspec.json.encode(bill), indent=1) + b"\n"


def read_pins(lock: Path, scope: str) -> Iterator[Material]:
    """The packages of a requirements file with hashes."""
    pinned: tuple[str, str, str] | None = None
    hashes: list[tuple[str, str]] = []
    for line in (*lock.read_text(encoding="utf-8").splitlines(), "end==0"):
        if (pin := _PIN.match(line)) is not None:
            if pinned is not None:
                yield _wheel(pinned, hashes, scope)
            pinned, hashes = (pin[1], pin[2], pin[3] or ""), []
        elif (found := _HASH.search(line)) is not None:
            hashes.append(("SHA-256", found[1]))


def _wheel(pinned: tuple[str, str, str], hashes: Iterable[tuple[str, str]], scope: str) -> Material:
    name, version, condition = pinned
    return Material(
        purl=f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version)}",
        name=name,
        version=version,
        scope=scope,
        file_hashes=tuple(hashes),
        condition=condition,
    )


def _python() -> Iterator[Material]:
    for lock, scope in _PYTHON_LOCKS.items():
        yield from read_pins(lock, scope)


def _java() -> Iterator[Material]:
    for jar in read_lock():
        yield Material(
            purl=f"pkg:maven/{jar.group_id}/{jar.artifact_id}@{quote(jar.version)}",
            group=jar.group_id,
            name=jar.artifact_id,
            version=jar.version,
            scope="required",
            hashes=(("SHA-256", jar.sha256),),
        )


def _javascript() -> Iterator[Material]:
    """npm's lock: each package by where it lies, its hash as Subresource Integrity has it."""
    packages = msgspec.json.decode((PLAYERS / "package-lock.json").read_bytes())["packages"]
    for place, package in packages.items():
        if not place:
            continue  # what depends on all the others: ours
        group, _, name = place.rpartition("node_modules/")[2].rpartition("/")
        algorithm, _, value = package["integrity"].partition("-")
        assert algorithm == "sha512", place
        scoped = f"{quote(group, safe='')}/{name}" if group else name
        yield Material(
            purl=f"pkg:npm/{scoped}@{quote(package['version'])}",
            group=group,
            name=name,
            version=package["version"],
            scope="required",
            hashes=(("SHA-512", base64.b64decode(value).hex()),),
        )


def _component(material: Material) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": material.purl,
        "name": material.name,
        "version": material.version,
        "scope": material.scope,
        "purl": material.purl,
    }
    if material.group:
        found["group"] = material.group
    if material.hashes:
        found["hashes"] = _hashes(material.hashes)
    if material.file_hashes:
        found["externalReferences"] = [
            {
                "type": "distribution",
                "url": material.purl,
                "comment": "one of these files, by platform",
                "hashes": _hashes(material.file_hashes),
            }
        ]
    if material.condition:
        found["properties"] = [{"name": "playhead:condition", "value": material.condition}]
    return found


def _hashes(hashes: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"alg": algorithm, "content": value} for algorithm, value in hashes]
