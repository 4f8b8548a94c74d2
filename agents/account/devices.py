"""What a viewer calls their devices: kept sealed. The devices are the license agent's."""

from __future__ import annotations

from msgspec.structs import replace

from agents.account.outcome import Outcome, changed, happened
from agents.account.rules import Facts
from agents.account.state import AccountState
from schemas.accounts import DeviceNames, Done, NameDevice

DEVICE_NAME_CHARACTERS_MAX = 64


def name_device(state: AccountState, command: NameDevice, facts: Facts) -> Outcome:
    """Keep the sealed name, or forget the old one; the name given longest ago makes room."""
    assert facts.credentials is not None
    name = facts.credentials.device_name[:DEVICE_NAME_CHARACTERS_MAX]
    known = state.private.device_names
    if known.get(command.device_id, "") == name:
        return Outcome(Done())
    others = [item for item in known.items() if item[0] != command.device_id]
    kept = others[max(0, len(others) - facts.rules.device_names_max + 1) :]
    named = dict([*kept, (command.device_id, name)] if name else others)
    new = changed(state, facts, private=replace(state.private, device_names=named))
    return Outcome(Done(), new, (happened(new.account, "device_named", facts),))


def device_names(state: AccountState) -> Outcome:
    """All of them."""
    return Outcome(DeviceNames(names=state.private.device_names))
