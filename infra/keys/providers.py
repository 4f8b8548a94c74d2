"""Who holds the root key, as the settings say."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agents.license.key_encryption import KeyProvider
from infra.keys.file_root import FileKeyProvider
from infra.settings import Settings, SettingsError

if TYPE_CHECKING:
    from infra.keys.pkcs11_root import Pkcs11KeyProvider


def key_providers(settings: Settings, file_root: Path) -> tuple[KeyProvider, ...]:
    """The configured one first, which wraps. Raises SettingsError.

    The other one goes on unwrapping beside it, as far as it is there: so a deployment moves into a
    token or out of it by a rotation.
    """
    file = FileKeyProvider(file_root)
    if settings.key_provider == "file":
        return (file, token_root(settings)) if settings.pkcs11_token else (file,)
    token = token_root(settings)
    return (token, file) if file_root.exists() else (token,)


def token_root(settings: Settings) -> Pkcs11KeyProvider:
    """The root in a token. Raises SettingsError where it is not all said."""
    given = {
        "PLAYHEAD_PKCS11_MODULE": settings.pkcs11_module,
        "PLAYHEAD_PKCS11_TOKEN": settings.pkcs11_token,
        "PLAYHEAD_PKCS11_KEY": settings.pkcs11_key,
        "PLAYHEAD_PKCS11_PIN_FILE": settings.pkcs11_pin_file,
    }
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise SettingsError(f"a root in a token needs {', '.join(missing)}")
    if find_spec("pkcs11") is None:
        raise SettingsError("a root in a token needs pip install 'playhead[pkcs11]'")
    from infra.keys.pkcs11_root import Pkcs11KeyProvider, TokenPlace

    return Pkcs11KeyProvider(
        TokenPlace(
            module=settings.pkcs11_module,
            token=settings.pkcs11_token,
            key=settings.pkcs11_key,
            pin_file=Path(settings.pkcs11_pin_file),
        )
    )
