"""Slows down guessing from one network, whichever accounts it tries.

A network is an address cut to /24 or /48 (`gateway.region`): nothing finer is kept. Each wrong
password, sign-up and reset costs one of its tries, which come back one by one. Loopback is not
counted: behind it stands the operator's own proxy, and with it everybody.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from gateway.problems import ProblemError
from gateway.region import Regions
from streams.clock import Clock

NETWORKS_MAX = 50_000


@dataclass(slots=True)
class _Tries:
    left: float
    at_ms: int


class Attempts:
    """A bucket of tries per network, bounded in networks; in this gateway's memory alone."""

    def __init__(
        self, regions: Regions, *, tries_max: int, try_every_ms: int, clock: Clock
    ) -> None:
        self._regions = regions
        self._tries_max = tries_max
        self._try_every_ms = try_every_ms
        self._clock = clock
        self._networks: OrderedDict[str, _Tries] = OrderedDict()

    def begin(self, address: str) -> Attempt:
        """A try of the address's network; ProblemError 429 where it has none left."""
        network = "" if _is_loopback(address) else self._regions.locate(address).network
        if not network:
            return Attempt(self, "")
        wait_ms = self.wait_ms(network)
        if wait_ms:
            raise ProblemError(
                429,
                "too-many-attempts",
                "too many from this network",
                headers={"Retry-After": str(wait_ms // 1000 + 1)},
            )
        return Attempt(self, network)

    def wait_ms(self, network: str) -> int:
        """How long until the network has a try; 0: it has one."""
        left = self._left(network)
        return 0 if left >= 1 else round((1 - left) * self._try_every_ms)

    def failed(self, network: str) -> None:
        """One try less."""
        left, now_ms = self._left(network), self._clock()
        self._networks.pop(network, None)
        self._networks[network] = _Tries(max(0.0, left - 1), now_ms)
        if len(self._networks) > NETWORKS_MAX:
            self._networks.popitem(last=False)

    def _left(self, network: str) -> float:
        tries = self._networks.get(network)
        if tries is None:
            return self._tries_max
        now_ms = self._clock()
        tries.at_ms = min(tries.at_ms, now_ms)  # the clock was set back: none is lost by it
        gained = (now_ms - tries.at_ms) / self._try_every_ms
        return min(self._tries_max, tries.left + gained)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of a network; it costs nothing unless it failed."""

    _attempts: Attempts
    _network: str

    def failed(self) -> None:
        """Costs a try."""
        if self._network:
            self._attempts.failed(self._network)
