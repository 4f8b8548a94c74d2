"""A license policy as TOML: read with errors that say where and what to do, and written whole.

What is left out of a title's table is as `[terms]` has it. The canary's plan is always part.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final, get_type_hints

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from agents.license.plans import CANARY, LicensePolicy, Plan, Terms
from schemas.accounts import CANARY_PLAN
from schemas.errors import PlayheadError
from schemas.licenses import Protection

BYTES_MAX: Final = 4 << 20
DIGEST_DIGITS: Final = 8
_TABLES: Final[Mapping[str, type[msgspec.Struct]]] = {
    "plans": Plan,
    "protections": Protection,
    "titles": Terms,
}
"""Tables of tables, and what each of them holds."""


class PolicyError(PlayheadError):
    """The policy cannot be followed; each line of the message says where, and what to do."""


def read_policy(text: str) -> LicensePolicy:
    """The policy that a TOML document tells. Its version gets the document's digest, so that two
    policies never share one: `2026-12-01+1a2b3c4d`.

    Raises PolicyError.
    """
    if len(text) > BYTES_MAX:
        raise PolicyError(f"a policy has at most {BYTES_MAX} characters")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"this is no TOML: {error}") from error
    policy = _convert(_completed(document))
    unsound = list(_unsound(policy))
    if unsound:
        raise PolicyError("\n".join(unsound))
    return replace(policy, version=f"{policy.version}+{_digest(policy)}")


def write_policy(policy: LicensePolicy) -> str:
    """The whole policy as TOML with the meaning of each value; `read_policy` gives it again."""
    plain = _plain(replace(policy, version=_bare_version(policy)))
    del plain["plans"][CANARY_PLAN]
    plain["titles"] = {
        name: {key: value for key, value in own.items() if value != plain["terms"][key]}
        for name, own in plain["titles"].items()
    }
    lines = list(_section("", plain, LicensePolicy))
    for name in ("hdcp_max_heights", "terms", *_TABLES):
        lines += ["", f"# {_meanings(LicensePolicy)[name]}"]
        if name in _TABLES:
            for number, (each, values) in enumerate(plain[name].items()):
                type_ = _TABLES[name] if number == 0 and name != "titles" else None
                lines += [""] if number else []
                lines += _section(f"{name}.{_key(each)}", values, type_)
        else:
            lines += _section(name, plain[name], Terms if name == "terms" else None)
    return "\n".join(lines) + "\n"


def policy_schema() -> bytes:
    """JSON Schema (2020-12) of the document."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(LicensePolicy)))


# -- reading ----------------------------------------------------------------------------------


def _completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """With the canary's plan, and with `[terms]` below each title's own."""
    whole = dict(document)
    plans, titles, terms = (document.get(each, {}) for each in ("plans", "titles", "terms"))
    if isinstance(plans, dict):
        if CANARY_PLAN in plans:
            raise PolicyError(f"plans.{CANARY_PLAN}: it is the probe's own; leave it out")
        whole["plans"] = plans | {CANARY_PLAN: msgspec.to_builtins(CANARY)}
    if isinstance(titles, dict) and isinstance(terms, dict):
        whole["titles"] = {
            name: terms | own if isinstance(own, dict) else own for name, own in titles.items()
        }
    return whole


def _convert(document: Mapping[str, Any]) -> LicensePolicy:
    """Table by table first: msgspec does not tell under which name a mistake stands."""
    _refuse_unknown("", document, LicensePolicy)
    for table, type_ in _TABLES.items():
        named = document.get(table, {})
        for name, values in named.items() if isinstance(named, dict) else ():
            where = f"{table}.{name}"
            _refuse_unknown(where, values, type_)
            _as(values, type_, where)
    _refuse_unknown("terms", document.get("terms", {}), Terms)
    policy: LicensePolicy = _as(document, LicensePolicy, "")
    return policy


def _refuse_unknown(where: str, values: Any, type_: type[msgspec.Struct]) -> None:
    if not isinstance(values, dict):
        return
    known = type_.__struct_fields__
    for name in values.keys() - set(known):
        near = get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]}?" if near else f"it may hold {', '.join(known)}"
        raise PolicyError(f"{_place(where, name)}: there is no such setting; {meant}")


def _as(values: Any, type_: Any, where: str) -> Any:
    try:
        return msgspec.convert(values, type_)
    except msgspec.ValidationError as error:
        said, _, at = str(error).partition(" - at ")
        path = at.strip("`").rpartition("$")[2].removeprefix(".")  # `$.terms`, key` in `$.titles`
        place = _place(where, path)
        raise PolicyError(
            f"{place or 'the policy'}: {said}; `playhead license policy` prints one that is sound"
        ) from error


def _place(where: str, name: str) -> str:
    return ".".join(each for each in (where, name) if each)


def _unsound(policy: LicensePolicy) -> Iterator[str]:
    """What each value alone does not show."""
    if policy.idle_ms < policy.lease_ms:
        yield "idle_ms: a session may not die before its stream is free: raise it to lease_ms"
    if not policy.playing_states:
        yield "playing_states: nobody could play; name at least active"
    for where, terms in (("terms", policy.terms), *_titles(policy)):
        yield from (f"{where}.{each}" for each in _unsound_terms(terms, policy))


def _titles(policy: LicensePolicy) -> Iterator[tuple[str, Terms]]:
    return ((f"titles.{name}", terms) for name, terms in policy.titles.items())


def _unsound_terms(terms: Terms, policy: LicensePolicy) -> Iterator[str]:
    if both := set(terms.regions_allowed) & set(terms.regions_refused):
        yield f"regions_refused: {', '.join(sorted(both))} is allowed too; leave one of them out"
    if unknown := set(terms.plans or ()) - policy.plans.keys():
        yield f"plans: no plan is named {', '.join(sorted(unknown))}; there are {_names(policy)}"
    starts, ends = terms.rights_from, terms.rights_until
    if starts is not None and ends is not None and starts >= ends:
        yield "rights_until: the rights end before they start"
    if terms.renewal_ms >= terms.license_ms:
        yield "renewal_ms: must be below license_ms, or 0"
    promised = {tier for plan in policy.plans.values() for tier in plan.tiers} & set(terms.tiers)
    if keyless := promised - set(terms.clear_key_tiers) - policy.protections.keys():
        yield (
            f"clear_key_tiers: nobody would give the keys of {', '.join(sorted(keyless))}: name "
            "them here, or a table for each under protections"
        )
    if not terms.tiers:
        yield "tiers: nothing is left to play; name at least audio and sd"


def _names(policy: LicensePolicy) -> str:
    return ", ".join(sorted(policy.plans))


def _bare_version(policy: LicensePolicy) -> str:
    return policy.version.partition("+")[0]


def _digest(policy: LicensePolicy) -> str:
    plain = _plain(replace(policy, version=_bare_version(policy)))
    encoded = msgspec.json.encode(plain, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:DIGEST_DIGITS]


# -- writing ----------------------------------------------------------------------------------


def _plain(policy: LicensePolicy) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(policy, builtin_types=(datetime,))
    plain["playing_states"] = sorted(plain["playing_states"])
    return plain


def _section(name: str, values: Mapping[str, Any], type_: Any) -> Iterator[str]:
    """A table's own values, each under what it means; no type: as they are."""
    meanings = _meanings(type_) if type_ is not None else {}
    if name:
        yield f"[{name}]"
    for key, value in values.items():
        if isinstance(value, dict):
            continue
        if key in meanings:
            yield f"# {meanings[key]}"
        yield f"# {key} is not set" if value is None else f"{_key(key)} = {_value(value)}"


def _meanings(type_: Any) -> dict[str, str]:
    hints = get_type_hints(type_, include_extras=True)
    found = {}
    for name, hint in hints.items():
        metas = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Meta)]
        texts = [meta.description for meta in metas if meta.description]
        if texts:
            found[name] = texts[-1]
    return found


def _key(name: str) -> str:
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else _value(name)


def _value(value: Any) -> str:
    """TOML's basic strings are JSON's but for DEL, which is to be escaped."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case str():
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        case _:
            return str(value)
