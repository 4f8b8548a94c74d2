"""What processes tell whoever asks: their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import aiohttp

from infra.deployment import Deployment
from infra.faults.secrecy import Needle, found_in
from infra.operations.status import address_of
from infra.supervisor.run_state import read_state
from infra.workers import WORKER_NAMES

TIMEOUT_S: Final = 10


def metrics_urls(deployment: Deployment) -> dict[str, str]:
    """By component where its metrics are; components that have none are left out."""
    state = read_state(deployment.home)
    found = {
        component.name: address_of(deployment, component)
        for component in (state.components if state is not None else ())
        if component.name in {"gateway", *WORKER_NAMES} or component.name.startswith("edge-")
    }
    return {name: f"http://{address}/metrics" for name, address in found.items() if address}


async def found_in_answers(
    urls: Mapping[str, str], needles: Iterable[Needle]
) -> dict[str, set[str]]:
    """By name, what stands in an answer: headers and body. Raises aiohttp.ClientError."""
    wanted, found = list(needles), {}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        for name, url in urls.items():
            async with http.get(url) as response:
                headers = b"".join(part for pair in response.raw_headers for part in pair)
                content = [headers, b"\0", await response.read()]
            if response.status != 200:
                raise aiohttp.ClientPayloadError(f"{url} answers {response.status}")
            if names := found_in(content, wanted):
                found[name] = names
    return found
