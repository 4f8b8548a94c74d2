"""The engine's own configuration files, written anew at every start."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

# What plain tables and views need. Not: CREATE DICTIONARY and the table functions, which reach
# files, commands and the network; CREATE FUNCTION, SYSTEM, BACKUP and all access management.
_PRIVILEGES: Final = (
    "SELECT",
    "INSERT",
    "ALTER",
    "CREATE DATABASE",
    "CREATE TABLE",
    "CREATE VIEW",
    "CREATE TEMPORARY TABLE",
    "DROP",
    "TRUNCATE",
    "OPTIMIZE",
    "SHOW",
    "dictGet",
    "KILL QUERY",
    "SYSTEM FLUSH",
    "SYSTEM VIEWS",
)
_TABLE_ENGINES: Final = (
    "MergeTree",
    "ReplacingMergeTree",
    "AggregatingMergeTree",
    "SummingMergeTree",
    "View",
    "MaterializedView",
    "Null",
    "Memory",
)

_Content: TypeAlias = "str | list[str] | Mapping[str, _Content]"


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What of the engine's configuration varies."""

    data: Path
    directory: Path
    """Where the files go: readable by the engine, not writable by it."""
    server_memory_bytes_max: int
    disk_reserve_bytes: int
    fsync: bool
    """Flush every part to disk before the insert is acknowledged: against power loss, not against
    process death.
    """


def write_config(config: EngineConfig) -> Path:
    """Writes config.xml and users.xml; returns the path of the former."""
    config.directory.mkdir(parents=True, exist_ok=True)
    users = config.directory / "users.xml"
    main = config.directory / "config.xml"
    users.write_bytes(_document(_users()))
    main.write_bytes(_document(_main(config, users)))
    return main


def _main(config: EngineConfig, users: Path) -> ET.Element:
    inside = config.data
    return _element(
        "clickhouse",
        {
            "max_server_memory_usage": str(config.server_memory_bytes_max),
            "users_config": str(users),
            "user_files_path": f"{inside / 'user_files'}/",
            "user_scripts_path": f"{inside / 'user_scripts'}/",
            "format_schema_path": f"{inside / 'format_schemas'}/",
            "mark_cache_size": str(64 << 20),
            "uncompressed_cache_size": "0",
            "merge_tree": {
                "fsync_after_insert": str(int(config.fsync)),
                "fsync_part_directory": str(int(config.fsync)),
                "non_replicated_deduplication_window": "10000",
                "min_free_disk_bytes_to_perform_insert": str(config.disk_reserve_bytes),
            },
        },
    )


def _users() -> ET.Element:
    """One engine user for all: who may do what is decided before the engine is asked (users.py)."""
    grants = [
        f"GRANT {', '.join(_PRIVILEGES)} ON *.*",
        "GRANT " + ", ".join(f"TABLE ENGINE ON {engine}" for engine in _TABLE_ENGINES),
    ]
    default: _Content = {
        "password": "",
        "networks": {"ip": "::/0"},
        "profile": "default",
        "quota": "default",
        "grants": {"query": grants},
    }
    return _element(
        "clickhouse",
        {"profiles": {"default": {}}, "quotas": {"default": {}}, "users": {"default": default}},
    )


def _element(name: str, content: Mapping[str, _Content]) -> ET.Element:
    element = ET.Element(name)
    for child, value in content.items():
        _append(element, child, value)
    return element


def _append(parent: ET.Element, name: str, content: _Content) -> None:
    if isinstance(content, str):
        ET.SubElement(parent, name).text = content
    elif isinstance(content, list):
        for item in content:
            _append(parent, name, item)
    else:
        parent.append(_element(name, content))


def _document(root: ET.Element) -> bytes:
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8")
    return document
