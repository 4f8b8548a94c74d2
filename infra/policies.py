"""The license policy that a deployment follows: the operator's file, or the built-in one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agents.license.plans import POLICY, LicensePolicy
from agents.license.policy_document import PolicyError, read_policy
from infra.settings import Settings, SettingsError

NAME: Final = "PLAYHEAD_LICENSE_POLICY"


def policy_in_force(settings: Settings) -> LicensePolicy:
    """What license workers that start now follow. Raises SettingsError, in one line."""
    if not settings.license_policy:
        return POLICY
    try:
        return read_policy_file(Path(settings.license_policy))
    except PolicyError as error:
        said = "; ".join(str(error).splitlines())
        raise SettingsError(f"{NAME}: {said}") from error


def read_policy_file(path: Path) -> LicensePolicy:
    """Raises PolicyError, with a line for each thing to mend."""
    try:
        return read_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise PolicyError(f"{path} cannot be read ({why}): name a TOML file") from error
