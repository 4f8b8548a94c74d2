"""The player page, the console, the player libraries: files, under a strict content policy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.answers import JSON
from gateway.config import GatewayConfig
from gateway.gateway import gateway_of
from gateway.routing.route import Handler
from schemas import codec

OPENAPI: Final = web.AppKey("openapi", bytes)
_PAGES: Final = {
    "/": "index.html",
    "/console": "console.html",
    "/console/operations": "operations.html",
}


async def get_openapi(request: web.Request) -> web.Response:
    """The document that was made of the route table at the start."""
    return web.Response(body=request.app[OPENAPI], headers={"Content-Type": JSON})


def add_pages(app: web.Application, config: GatewayConfig) -> None:
    """What of it there is; the rest is 404."""
    if config.web_folder is not None and config.web_folder.is_dir():
        for path, name in _PAGES.items():
            if (config.web_folder / name).is_file():
                app.router.add_get(path, _page(config.web_folder / name))
        app.router.add_get("/page.json", _get_page_settings)
        app.router.add_static("/web/", config.web_folder)
    if config.players_folder is not None and config.players_folder.is_dir():
        app.router.add_static("/players/", config.players_folder)


def content_policy(config: GatewayConfig, public_url: str) -> str:
    """Nothing inline and nothing from elsewhere, but media from the CDNs.

    Players are told addresses below `public_url`, whichever name the page was asked for by.
    """
    cdns = " ".join(dict.fromkeys(_origin(cdn.base_url) for cdn in config.cdns))
    origins = (_origin(url) for url in (public_url, *config.connect_sources) if url)
    connect = " ".join(dict.fromkeys(("'self'", *cdns.split(), *origins)))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            f"img-src 'self' data: {cdns}",
            f"media-src 'self' blob: data: {cdns}",  # Shaka's empty text track is a data: URL
            "worker-src 'self' blob:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _page(file: Path) -> Handler:
    async def get_page(request: web.Request) -> web.StreamResponse:
        gateway = gateway_of(request)
        policy = content_policy(gateway.config, gateway.public_url)
        return web.FileResponse(
            file,
            headers={
                "Content-Security-Policy": policy,
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-cache",
            },
        )

    return get_page


async def _get_page_settings(request: web.Request) -> web.Response:
    """What the page must know beside the API."""
    config = gateway_of(request).config
    body = codec.encode(
        {
            "settings": config.page_settings,
            "cdns": config.cdns,
            "heartbeat_interval_ms": config.heartbeat_interval_ms,
        }
    )
    return web.Response(body=body, headers={"Content-Type": JSON, "Cache-Control": "no-cache"})


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
