"""What operators say of CDNs: capacity, commit, price, and whether they are drained."""

from __future__ import annotations

from infra.deployment import Deployment
from infra.operations.log_access import publishing, read_newest
from infra.operations.operator import require_keys
from schemas.errors import InvalidMessageError
from schemas.steering import CdnSettings
from streams.topics import CDN_SETTINGS


async def read_settings(deployment: Deployment) -> dict[str, CdnSettings]:
    """Of every configured CDN, in configured order. Raises PlayheadError."""
    require_keys(deployment)
    known: dict[str, CdnSettings] = await read_newest(deployment, CDN_SETTINGS)
    names = [cdn.name for cdn in deployment.cdns()]
    return {name: known.get(name, CdnSettings(cdn=name)) for name in names}


async def settings_of(deployment: Deployment, name: str) -> CdnSettings:
    """Of one. Raises InvalidMessageError where no CDN of that name is configured."""
    settings = await read_settings(deployment)
    if name not in settings:
        raise InvalidMessageError("cdn", f"none is named {name}; there are {', '.join(settings)}")
    return settings[name]


async def write_settings(deployment: Deployment, settings: CdnSettings) -> None:
    """Acknowledged in the log; the next plan follows it. Raises PlayheadError."""
    require_keys(deployment)
    async with publishing(deployment) as publisher:
        await publisher.publish(CDN_SETTINGS, settings.cdn, settings)
