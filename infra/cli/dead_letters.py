"""`playhead dead-letters`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click
import msgspec

from infra.cli.output import json_option, print_rows
from infra.cli.progress import progress_bar
from infra.deployment import Deployment
from infra.operations.letters.box import handled_key, read_handled, read_letters
from infra.operations.letters.handling import handle_all, open_letter_desk
from infra.operations.letters.letter import Letter, LetterFilter, LetterGroup, group_letters
from infra.operations.letters.redrive import Planned, plan_redrive
from infra.operations.letters.returning import Driven, drive_back
from infra.operations.moments import instant, parse_moment
from infra.settings import load_settings
from schemas.errors import PlayheadError
from streams.clock import system_clock
from streams.topics import BY_NAME

F = TypeVar("F", bound=Callable[..., Any])


@click.group("dead-letters")
def command() -> None:
    """Records that no agent could read or handle: look, drive back, give up.

    Example: playhead dead-letters redrive --topic playback.events.v1 --reason handler-failed
    """


def _filters(command: F) -> F:
    """The filters that every subcommand shares."""
    options = (
        click.option("--topic", default="", help="Of this topic (its name, not the letters')."),
        click.option("--reason", default="", help="With this reason."),
        click.option("--agent", default="", help="Of this agent."),
        click.option("--since", help="Failed since: 30m, 2h, 7d ago, or 2026-11-22T16:30:00Z."),
        click.option("--until", help="Failed before."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@command.command("list")
@_filters
@click.option("--each", is_flag=True, help="One line a letter instead of counts.")
@click.option("--all", "with_handled", is_flag=True, help="Also those that were handled.")
@json_option
def list_letters(
    topic: str,
    reason: str,
    agent: str,
    since: str | None,
    until: str | None,
    each: bool,
    with_handled: bool,
    as_json: bool,
) -> None:
    """Count them by topic, agent and reason.

    Example: playhead dead-letters list --since 24h
    """
    wanted = _wanted((), topic, reason, agent, since, until)
    deployment = Deployment(settings=load_settings())
    letters = asyncio.run(read_letters(deployment, wanted, with_handled=with_handled))
    if each:
        _print_letters(letters, as_json)
        return
    print_rows(
        (*LetterGroup.__struct_fields__[:4], "oldest", "newest"),
        (
            (
                g.topic,
                g.agent,
                g.reason,
                g.letters,
                instant(g.oldest_at_ms),
                instant(g.newest_at_ms),
            )
            for g in group_letters(letters)
        ),
        as_json=as_json,
    )


@command.command("show")
@click.argument("letter_id", metavar="ID")
def show(letter_id: str) -> None:
    """One letter decoded, with where it came from, why, and whether it may go back.

    ID is as `list --each` prints it. Example: playhead dead-letters show playback.events.v1:17
    """
    deployment = Deployment(settings=load_settings())
    wanted = _wanted((letter_id,), "", "", "", None, None)
    click.echo(asyncio.run(_described(deployment, wanted, letter_id)))


@command.command("redrive")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filters
@click.option("--all", "everything", is_flag=True, help="Every letter there is.")
@click.option("--dry-run", is_flag=True, help="Only say what would go back.")
@json_option
def redrive(
    ids: tuple[str, ...],
    topic: str,
    reason: str,
    agent: str,
    since: str | None,
    until: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Append the records to their topics again, with their key, headers and id.

    Example: playhead dead-letters redrive --topic playback.events.v1 --dry-run
    """
    wanted = _required(_wanted(ids, topic, reason, agent, since, until), everything)
    asyncio.run(_handle("redrive", wanted, dry_run, as_json))


@command.command("drop")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filters
@click.option("--all", "everything", is_flag=True, help="Every letter there is.")
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
@json_option
def drop(
    ids: tuple[str, ...],
    topic: str,
    reason: str,
    agent: str,
    since: str | None,
    until: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give letters up: recorded in dead.letters.handled.v1, and no longer listed.

    Example: playhead dead-letters drop --reason not-json --until 7d
    """
    wanted = _required(_wanted(ids, topic, reason, agent, since, until), everything)
    asyncio.run(_handle("drop", wanted, dry_run, as_json))


def _wanted(
    ids: tuple[str, ...],
    topic: str,
    reason: str,
    agent: str,
    since: str | None,
    until: str | None,
) -> LetterFilter:
    topics = {id_.rpartition(":")[0] for id_ in ids} | ({topic} if topic else set())
    for name in topics:
        if name not in BY_NAME or not BY_NAME[name].has_dead_letters:
            raise click.UsageError(
                f"{name!r} is no topic with dead letters; `playhead topics list` names them all"
            )
    now_ms = system_clock()
    return LetterFilter(
        ids=frozenset(ids),
        topic=topic or (next(iter(topics)) if len(topics) == 1 else ""),
        reason=reason,
        agent=agent,
        since_ms=parse_moment(since, now_ms) if since else None,
        until_ms=parse_moment(until, now_ms) if until else None,
    )


def _required(wanted: LetterFilter, everything: bool) -> LetterFilter:
    if wanted.is_open and not everything:
        raise click.UsageError("name letters, give a filter, or say --all")
    return wanted


async def _described(deployment: Deployment, wanted: LetterFilter, letter_id: str) -> str:
    letters = await read_letters(deployment, wanted, with_handled=True)
    if not letters:
        raise PlayheadError(f"there is no letter {letter_id}")
    letter = letters[0]
    handled = (await read_handled(deployment)).get(handled_key(letter))
    refusal = plan_redrive([letter], system_clock())[0].refusal
    described = {
        "id": letter.letter_id,
        "reason": letter.reason,
        "detail": letter.detail,
        "agent": letter.agent,
        "attempt": letter.attempt,
        "failed_at": instant(letter.failed_at_ms),
        "source_partition": letter.source_partition,
        "source_offset": letter.source_offset,
        "source_at": instant(letter.source_timestamp_ms),
        "key": letter.key.decode(errors="replace"),
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers.items()},
        "value": _decoded(letter.value),
        "handled": handled,
        "redrive": refusal or "may go back",
    }
    return msgspec.json.format(msgspec.json.encode(described), indent=2).decode()


def _decoded(value: bytes | None) -> object:
    """JSON where it is; else the beginning of the bytes as Python writes them."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return repr(value[:1024])


async def _handle(
    verb: Literal["redrive", "drop"], wanted: LetterFilter, dry_run: bool, as_json: bool
) -> None:
    deployment = Deployment(settings=load_settings())
    letters = await read_letters(deployment, wanted)
    if verb == "redrive":
        plan = plan_redrive(letters, system_clock())
    else:
        plan = [Planned(letter=letter) for letter in letters]
    going = [planned.letter for planned in plan if not planned.refusal]
    driven: Driven | None = None
    if going and not dry_run:
        async with open_letter_desk(deployment, system_clock) as desk:
            with progress_bar() as bar:
                task = bar.add_task(verb, total=len(going))

                def show(count: int) -> None:
                    bar.update(task, completed=count)

                if verb == "redrive":
                    driven = await drive_back(deployment, desk, going, show)
                else:
                    await handle_all(going, desk.drop, show)
    _print_plan(verb, plan, dry_run, as_json, driven)
    if driven is not None:
        _say_stopped(driven)


def _say_stopped(driven: Driven) -> None:
    """Raises PlayheadError where not all of them went, or some came back."""
    if driven.left:
        why = f"{len(driven.returned)} came back" if driven.returned else "an agent stands still"
        raise PlayheadError(
            f"stopped with {len(driven.left)} letters left as they were: {why}."
            " Mend the agent, then drive the rest back"
        )
    if driven.returned:
        raise PlayheadError(f"{len(driven.returned)} came back as new dead letters")


def _print_plan(
    verb: str, plan: list[Planned], dry_run: bool, as_json: bool, driven: Driven | None
) -> None:
    done = {"redrive": "driven back", "drop": "dropped"}[verb]
    said = f"would be {done}" if dry_run else done

    def what(planned: Planned) -> str:
        letter_id = planned.letter.letter_id
        if planned.refusal:
            return f"stays: {planned.refusal}"
        if driven is not None and letter_id in driven.left:
            return "stays: it was stopped before"
        if driven is not None and letter_id in driven.returned:
            return f"came back: {driven.returned[letter_id]}"
        return said

    said_of = [what(planned) for planned in plan]
    print_rows(
        ("id", "reason", "agent", "what"),
        (
            (
                planned.letter.letter_id,
                planned.letter.reason,
                planned.letter.agent,
                text,
            )
            for planned, text in zip(plan, said_of, strict=True)
        ),
        as_json=as_json,
    )
    if not as_json:
        count = said_of.count(said)
        click.echo(f"{count} of {len(plan)} {said}")


def _print_letters(letters: list[Letter], as_json: bool) -> None:
    print_rows(
        ("id", "failed_at", "reason", "agent", "attempt", "source", "detail"),
        (
            (
                letter.letter_id,
                instant(letter.failed_at_ms),
                letter.reason,
                letter.agent,
                letter.attempt,
                f"{letter.source_partition}/{letter.source_offset}",
                letter.detail if as_json else letter.detail[:80],
            )
            for letter in letters
        ),
        as_json=as_json,
    )
