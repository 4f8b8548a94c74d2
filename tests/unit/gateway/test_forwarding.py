"""Whose address counts: the right-most that no trusted proxy has, and nothing that others wrote."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.forwarding import ForwardingHeader, TrustedProxies, client_address
from infra.settings import SettingsError
from infra.wiring.gateway import read_networks

NETWORKS = tuple(map(ip_network, ("10.0.0.0/8", "2001:db8:ffff::/48")))
PROXY, PROXY_6, CLIENT, CLIENT_6 = "10.0.0.1", "2001:db8:ffff::1", "203.0.113.7", "2001:db8::7"
SPOOFED = "198.51.100.9"


def found(peer: str | None, *lines: str, header: ForwardingHeader = "X-Forwarded-For") -> str:
    return client_address(peer, lines, TrustedProxies(networks=NETWORKS, header=header))


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
        (CLIENT, [SPOOFED], CLIENT),
        (CLIENT, [f"{SPOOFED}, {PROXY}"], CLIENT),
        (PROXY, [CLIENT], CLIENT),
        (PROXY, [f"{SPOOFED}, {CLIENT}"], CLIENT),
        (PROXY, [f"{SPOOFED}, {CLIENT}, 10.9.9.9, {PROXY_6}"], CLIENT),
        (PROXY, [SPOOFED, CLIENT], CLIENT),  # two header lines are one list (RFC 9110, 5.3)
        (PROXY, [f"{SPOOFED},{CLIENT}:50812"], CLIENT),
        (PROXY, [f"[{CLIENT_6}]:443"], CLIENT_6),
        (PROXY, [f"[{CLIENT_6}]"], CLIENT_6),
        (PROXY, [CLIENT_6], CLIENT_6),
        (f"::ffff:{PROXY}", [f"::ffff:{CLIENT}"], CLIENT),
        (PROXY_6, [CLIENT], CLIENT),
        (PROXY, [f"{CLIENT}, garbage"], ""),
        (PROXY, [f"{CLIENT}, unknown"], ""),
        (PROXY, [f"garbage, {CLIENT}"], CLIENT),
        (PROXY, [""], ""),
        (PROXY, [f"{CLIENT},"], ""),
        (PROXY, ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (PROXY, [], PROXY),
        (None, [CLIENT], ""),
    ],
)
def test_x_forwarded_for(peer: str | None, lines: list[str], address: str) -> None:
    assert found(peer, *lines) == address


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (f"for={CLIENT}", CLIENT),
        (f"For={CLIENT};proto=https;by=10.0.0.1", CLIENT),
        (f'for={SPOOFED}, for="{CLIENT}:4711" ; proto=https', CLIENT),
        (f'for="[{CLIENT_6}]:4711"', CLIENT_6),
        (f'by=10.0.0.1;for="[{CLIENT_6}]", for=10.0.0.5', CLIENT_6),
        (r'for="203.0.113\.7"', CLIENT),
        (f'for={SPOOFED}, proto="a,for={SPOOFED}";for={CLIENT}', CLIENT),
        (f"for={CLIENT}, for=_hidden", ""),
        (f"for={CLIENT}, for=unknown", ""),
        (f"for={CLIENT}, proto=https", ""),
        (f"for={CLIENT};for={SPOOFED}", ""),
        (f'for="{SPOOFED}, for={CLIENT}', ""),  # a quote that its writer left open
        (f"for = {CLIENT}", ""),
        (f"for={SPOOFED}, for={CLIENT};", CLIENT),
        (f"for={SPOOFED}, proto=https;", ""),
        (f"for={SPOOFED}, for={CLIENT};,", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_forwarded(line: str, address: str) -> None:
    assert found(PROXY, line, header="Forwarded") == address
    assert found(CLIENT_6, line, header="Forwarded") == CLIENT_6


def test_nobody_is_trusted_unless_the_operator_says_so() -> None:
    assert client_address(PROXY, [CLIENT], TrustedProxies()) == PROXY


hops = st.lists(
    st.sampled_from([SPOOFED, "10.0.0.9", "unknown", "", "127.0.0.1", '"', "a;b", "a;", "::1"]),
    max_size=6,
)


@given(hops, st.sampled_from(["X-Forwarded-For", "Forwarded"]))
@example(['"'], "Forwarded")
def test_whatever_a_client_writes_first_it_moves_to_no_address_of_its_choice(
    spoofed: list[str], header: ForwardingHeader
) -> None:
    """The proxy adds what it saw to what came; the client may make itself unknown, no more."""
    is_rfc = header == "Forwarded"
    written = [f"for={hop}" if is_rfc else hop for hop in spoofed]
    seen = f"for={CLIENT}" if is_rfc else CLIENT
    told = found(PROXY, ", ".join([*written, seen]), header=header)
    assert told in (CLIENT, "")
    assert found(PROXY, *written, seen, header=header) == told


@given(st.text(max_size=60), st.sampled_from(["X-Forwarded-For", "Forwarded"]))
def test_any_text_gives_an_address_or_none(text: str, header: ForwardingHeader) -> None:
    told = found(PROXY, text, header=header)
    if told:
        ip_address(told)


def test_the_setting_names_networks() -> None:
    assert read_networks("10.0.0.0/8, 192.0.2.1,2001:db8::/32") == tuple(
        map(ip_network, ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"))
    )
    assert read_networks("") == ()
    for wrong in ("10.0.0.1/8", "proxy.example", "10.0.0.0/33"):
        with pytest.raises(SettingsError, match="PLAYHEAD_TRUSTED_PROXIES"):
            read_networks(wrong)
