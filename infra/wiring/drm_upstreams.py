"""The upstream license services of the settings, with what their files hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.drm.upstreams import AnyUpstream, Certificate
from infra.keys.files import KeyFileError, read_private
from infra.settings import SettingsError
from schemas.secrets import SecretBytes
from schemas.sessions import DRMSystem

NAME: Final = "PLAYHEAD_DRM_UPSTREAMS"


def read_drm_upstreams(text: str, folder: Path) -> Mapping[DRMSystem, AnyUpstream]:
    """By system; `text` is JSON, or the path of a file that holds it.

    Files of secrets are private ones; their names are relative to the key folder. Raises
    SettingsError, in which nothing of a secret stands.
    """
    if not text:
        return {}
    try:
        document = text if text.lstrip().startswith("{") else Path(text).read_text()
        return msgspec.json.decode(
            document, type=dict[DRMSystem, AnyUpstream], dec_hook=partial(_read, folder)
        )
    except (msgspec.MsgspecError, KeyFileError, OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{NAME}: {error}") from error


def _read(folder: Path, type_: type, name: Any) -> Any:
    """What the file of this name holds."""
    if not isinstance(name, str):
        raise ValueError("the name of a file is needed")  # noqa: TRY004 - what msgspec translates
    path = folder / name
    if type_ is SecretBytes:
        return SecretBytes(read_private(path))
    assert type_ is Certificate
    return Certificate(path.read_bytes())
