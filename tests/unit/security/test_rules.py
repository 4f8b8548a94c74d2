"""Rules that hold for the whole source: what must not be written anywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import faust

from infra.worker import WorkerPlan, faust_app
from streams.broker import Broker
from tests.test_architecture import ROOT, tree_of

PRODUCT = ("schemas", "streams", "agents", "gateway", "infra")
SECRET = re.compile(
    r"(^|_)(mac|signature|password|passphrase|secret|token_hash|refresh_token|reset_token"
    r"|content_key|private_key|reply_key)$"
)
UNSAFE = ("pickle", "marshal", "shelve", "dill")


def sources() -> Iterator[Path]:
    for package in PRODUCT:
        yield from (ROOT / package).rglob("*.py")


def name_of(node: ast.expr) -> str:
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.Call():
            return name_of(node.func)
        case _:
            return ""


def compared_secrets(tree: ast.Module) -> Iterator[int]:
    """Lines that compare a secret with another value; with a constant it is no guess at it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        sides = (node.left, *node.comparators)
        if any(isinstance(side, ast.Constant) for side in sides):
            continue
        if any(SECRET.search(name_of(side)) for side in sides):
            yield node.lineno


def test_secrets_are_compared_in_constant_time() -> None:
    """T23: `hmac.compare_digest`, not `==`."""
    found = [f"{path}:{line}" for path in sources() for line in compared_secrets(tree_of(path))]
    assert found == []


def test_the_rule_would_find_one() -> None:
    wrong = "a.token_hash == given\nif mac != expected: pass\nx = password == ''\n"
    assert list(compared_secrets(ast.parse(wrong))) == [1, 2]


def test_every_statement_that_is_put_together_says_why_it_is_safe() -> None:
    """T19: the linter refuses SQL by formatting (S608); an exception gives its reason."""
    without = [
        f"{path}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"noqa:.*S608", line) and not re.search(r"S608 +[-#] +\w+", line)
    ]
    assert without == []
    ruff = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'select = \[.*"S"', ruff)
    assert "S608" not in ruff


def test_nothing_is_decoded_that_could_run() -> None:
    """T27: no codec that makes objects of whatever class the bytes name."""
    found = [
        f"{path}:{node.lineno}"
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(
            name.split(".")[0] in UNSAFE
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
        )
    ]
    assert found == []


def test_workers_open_no_port_of_fausts_own(tmp_path: Path) -> None:
    """T27: its web server would show tables to anybody and listen on every address."""
    app: faust.App = faust_app(
        WorkerPlan(
            name="license",
            broker=Broker(bootstrap="127.0.0.1:1"),
            data_folder=tmp_path / "faust",
            announce=tmp_path / "license.json",
        )
    )
    assert app.conf.web_enabled is False
    assert app.conf.web_bind == "127.0.0.1"
    assert app.conf.autodiscover is False


def test_no_redirect_is_followed() -> None:
    """T20: whoever answers for a configured address must not send us to another one."""
    calls = re.compile(r"\b(http|client|session)\.(get|post|request)\(")
    found = [
        f"{path}:{text.count(chr(10), 0, call.start()) + 1}"
        for path in (ROOT / "gateway").rglob("*.py")
        for text in [path.read_text()]
        for call in calls.finditer(text)
        if "allow_redirects=False" not in text[call.start() : call.start() + 300]
        and path.name != "client.py"  # the reporting client of an app, not of the gateway
    ]
    assert found == []


def test_pages_put_text_in_as_text() -> None:
    """T21: nothing that a viewer, a player or a title said is parsed as HTML or run."""
    dangerous = re.compile(
        r"\.(innerHTML|outerHTML)\b|insertAdjacentHTML|document\.write|\beval\(|new Function\("
    )
    found = [
        f"{path.name}: {match[0]}"
        for path in (ROOT / "gateway/web").rglob("*.js")
        for match in dangerous.finditer(path.read_text())
    ]
    assert found == []
