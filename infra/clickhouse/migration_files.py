"""Migrations as they stand in files: plain SQL, one idempotent statement after the other, with
${variables}.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from infra.clickhouse import sql

DIRECTORY: Final = Path(__file__).parent / "migrations"
_FILE_NAME: Final = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.sql\Z")
_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_DATABASE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_CLUSTER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class MigrationError(Exception):
    """A migration cannot be read or may not be run; the text says which, and what to do."""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One step: `NNNN_name.sql`, and `NNNN_name.down.sql` where it can be taken back."""

    version: int
    name: str
    checksum: str
    """SHA-256 of the file that goes up, hexadecimal."""
    up: str
    down: str | None

    @property
    def title(self) -> str:
        """As the file is called."""
        return f"{self.version:04d}_{self.name}"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tables are made: what differs between one engine and a cluster."""

    database: str
    cluster: str = ""
    """Name of the cluster; empty on a single engine and on ClickHouse Cloud."""
    raw_days: int = 400
    """How long raw events are kept."""


def load_migrations(directory: Path = DIRECTORY) -> tuple[Migration, ...]:
    """All migrations in order. Raises MigrationError for a file that fits no pattern, and for a
    number used twice.
    """
    found: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        if path.name.endswith(".down.sql"):
            if not path.with_name(path.name.removesuffix(".down.sql") + ".sql").exists():
                raise MigrationError(f"{path.name} takes back a migration that is not there")
            continue
        migration = _read(path)
        if migration.version in found:
            other = found[migration.version].title
            raise MigrationError(f"{migration.title} and {other} have the same number")
        found[migration.version] = migration
    return tuple(found[version] for version in sorted(found))


def _read(path: Path) -> Migration:
    match = _FILE_NAME.match(path.name)
    if match is None:
        raise MigrationError(f"{path.name} is not named like 0001_lower_case.sql")
    up = path.read_text(encoding="utf-8")
    down = path.with_suffix(".down.sql")
    return Migration(
        version=int(match["version"]),
        name=match["name"],
        checksum=hashlib.sha256(up.encode()).hexdigest(),
        up=up,
        down=down.read_text(encoding="utf-8") if down.exists() else None,
    )


def variables(target: Target) -> dict[str, str]:
    """What the files may refer to. Raises MigrationError for names that may be more than names."""
    if _DATABASE.match(target.database) is None:
        raise MigrationError(f"{target.database!r} cannot be the name of a database")
    if target.cluster and _CLUSTER.match(target.cluster) is None:
        raise MigrationError(f"{target.cluster!r} cannot be the name of a cluster")
    window = "non_replicated_deduplication_window = 10000"
    if target.cluster:
        window = (
            "replicated_deduplication_window = 10000,"
            " replicated_deduplication_window_seconds = 604800"
        )
    return {
        "database": target.database,
        "on_cluster": f"ON CLUSTER '{target.cluster}'" if target.cluster else "",
        "replicated": "Replicated" if target.cluster else "",
        "dedup_window": window,
        "raw_days": str(target.raw_days),
    }


def statements(script: str, values: Mapping[str, str]) -> list[str]:
    """The statements of a script, variables filled in. Raises MigrationError for a variable that
    has no value.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise MigrationError(f"${{{match[1]}}} is no variable: there are {', '.join(values)}")
        return values[match[1]]

    return _split(_VARIABLE.sub(value, script).encode())


def _split(script: bytes) -> list[str]:
    """Cuts at semicolons outside of strings, comments and brackets; comments before a statement go
    with it.
    """
    found: list[str] = []
    start = end = 0
    for token in sql.tokens(script):
        if token.text != b";" or token.depth > 0:
            end = token.end
            continue
        if end > start:
            found.append(script[start:end].decode().strip())
        start = end = token.end
    if end > start:
        found.append(script[start:end].decode().strip())
    return found
