"""Whether every content key lies under the current key-encryption key."""

from __future__ import annotations

from infra.deployment import Deployment
from infra.keys.folder import INHERITED_KEKS
from infra.operations.doctor.finding import Finding, bad, good
from infra.operations.key_rotation import KeysInLog, read_keys
from infra.operations.operator import require_keys


async def check_key_rotation(deployment: Deployment, _: int) -> list[Finding]:
    """No rotation was left half done, and nothing lies under a file that is gone."""
    require_keys(deployment)
    has_old_file = (deployment.keys / INHERITED_KEKS).exists()
    return [judge_key_rotation(await read_keys(deployment), has_old_file=has_old_file)]


def judge_key_rotation(found: KeysInLog, *, has_old_file: bool) -> Finding:
    """`has_old_file`: the key folder has a `kek.json`."""
    where = found.standing
    if found.inherited and not has_old_file:
        says = f"{found.inherited} content keys lie under {INHERITED_KEKS}, which is gone"
        return bad("key rotation", says, "restore it from a backup of the keys (--with-kek)")
    if where.current is None:
        return good("key rotation", "no content key was made yet")
    if not where.is_done:
        says = f"{len(where.left)} content keys do not lie under version {where.current.version}"
        return bad("key rotation", says, "`playhead keys rotate kek` finishes what was begun")
    says = f"version {where.current.version} wraps all {len(found.keys)} content keys"
    if has_old_file:
        says += f"; {INHERITED_KEKS} is not needed any more: remove it"
    return good("key rotation", says)
