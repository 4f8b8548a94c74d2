"""`playhead edge`."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import click
import uvloop

from infra.deployment import Deployment
from infra.edge.__main__ import serve
from infra.edge.config import EdgeConfig
from infra.logs import configure_logging
from infra.settings import load_settings


@click.command("edge")
@click.argument("name")
def command(name: str) -> None:
    """Run one demo CDN edge in the foreground; NAME is one of PLAYHEAD_CDN_URLS.

    Example: playhead edge alpha
    """
    settings = load_settings()
    deployment = Deployment(settings=settings)
    configure_logging(f"edge-{name}", settings.log_format, settings.log_level)
    urls = {cdn.name: cdn.base_url for cdn in deployment.cdns()}
    if name not in urls:
        raise click.UsageError(f"{name} is not one of {', '.join(urls)}")
    parts = urlsplit(urls[name])
    config = EdgeConfig(
        name=name,
        storage_url=deployment.storage_url,
        gateway_url=deployment.gateway_url(),
        token_file=deployment.edge_token_file,
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 0,
        announce_file=deployment.run / f"edge-{name}.json",
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(config))
