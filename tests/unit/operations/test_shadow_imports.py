"""A replay into the license rules cannot issue: it neither imports nor holds what issues."""

import gc
import subprocess
import sys
from pathlib import Path
from types import FunctionType, ModuleType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agents.analytics.pace import Pace
from agents.license.keys import KeyRing
from agents.license.plans import POLICY
from agents.license.registrar import Registrar
from infra.keys.folder import KeyFolder
from infra.operations.shadow.license import license_rules
from infra.operations.shadow.log import ShadowLog
from infra.operations.shadow.reading import ShadowReader
from infra.operations.shadow.run import ShadowRun
from schemas.secrets import SecretBytes
from streams.broker import Broker
from streams.identity import Identity
from streams.producer import Publisher
from streams.replies import Desk
from streams.topics import LICENSE_DECISIONS

ISSUING_MODULES = (
    "agents.license.agent",
    "agents.license.key_desk",
    "agents.license.keys",
    "agents.license.registrar",
    "agents.shell",
    "infra.keys",
    "infra.wiring",
    "streams.identity",
    "streams.producer",
    "streams.replies",
    "streams.sealing",
    "streams.tokens",
)
ISSUING_OBJECTS = (
    Identity,
    Desk,
    Publisher,
    KeyRing,
    KeyFolder,
    Registrar,
    Ed25519PrivateKey,
    X25519PrivateKey,
)
ROOT = Path(__file__).parents[3]


def test_the_code_that_issues_is_not_imported() -> None:
    script = (
        "import sys, infra.operations.shadow.run as _;"
        "from infra.operations.shadow import bitrate, license, policy, steering;"
        f"print([n for n in {ISSUING_MODULES!r} if n in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert said.stdout.strip() == "[]"


def test_no_object_of_a_shadow_leads_to_one_that_issues() -> None:
    broker = Broker(bootstrap="127.0.0.1:1")
    run = ShadowRun(
        ShadowReader(broker, SecretBytes(bytes(32))),
        ShadowLog(broker, LICENSE_DECISIONS, replication=1),
        license_rules(POLICY),
        lambda _: None,
        pace=Pace(),
    )
    found = [each for each in _reachable(run) if isinstance(each, ISSUING_OBJECTS)]
    assert found == []


def _reachable(root: object) -> list[object]:
    """Everything that attributes and containers lead to; classes, modules and code end a way."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, (type, ModuleType, FunctionType)):
            continue
        seen[id(each)] = each
        waiting.extend(gc.get_referents(each))
    return list(seen.values())


def test_the_walk_would_find_what_issues() -> None:
    held = {"deep": [Identity.__new__(Identity)]}
    assert any(isinstance(each, Identity) for each in _reachable(held))
