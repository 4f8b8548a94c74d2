"""What commands share that play the scenarios of files: their options, and what needs no run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec


def scenario_parser(
    prog: str, description: str | None, policies: Sequence[str]
) -> argparse.ArgumentParser:
    """Takes --scenario, --out, --policies and --schema."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--scenario", type=Path, help="a scenario, as --schema says it")
    parser.add_argument("--out", type=Path, help="scores of the policies, as JSON")
    parser.add_argument("--policies", nargs="+", choices=policies, default=policies)
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of scenarios")
    return parser


def code_without_run(options: argparse.Namespace, name: str, scenario_type: Any) -> int | None:
    """The exit code where the schema was asked for, or too little was said; None: run."""
    if options.schema:
        schema = msgspec.json.schema(scenario_type)
        print(msgspec.json.format(msgspec.json.encode(schema)).decode())
        return 0
    if options.scenario is None or options.out is None:
        print(f"{name}: name --scenario and --out", file=sys.stderr)
        return 2
    return None


def positive(text: str) -> int:
    """An option that counts."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value
