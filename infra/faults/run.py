"""One run: a deployment, a crowd, a schedule of faults, silence, and the reconciliation."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from infra.bench.memory import MemoryWatch
from infra.bench.processes import machine_class
from infra.bench.tokens import a_session
from infra.faults.amendments import OURS, Launchers
from infra.faults.askers import Askers
from infra.faults.crowd import Crowd
from infra.faults.evidence import Evidence
from infra.faults.ledger import ClientLedger
from infra.faults.memory import MIB, beyond_bounds
from infra.faults.payloads import SOURCE
from infra.faults.questions import Questions, until_quiet
from infra.faults.reconcile import Reconciled, compare_licenses, compare_totals, reconcile
from infra.faults.report import Report
from infra.faults.schedule import Schedule
from infra.faults.secrecy import (
    Needle,
    found_in_files,
    found_in_tables,
    needles_of_folder,
    needles_of_key,
)
from infra.faults.stage import WITHOUT_EDGES, Stage, running_stage
from infra.faults.strikes import Strikes, Struck
from infra.stack import environment_of
from schemas.errors import PlayheadError
from streams.clock import system_clock
from streams.topics import LICENSE_DECISIONS, PLAYBACK_BANDWIDTH, PLAYBACK_EVENTS

QUIET_TIMEOUT_S: Final = 300.0
"""Without any group coming on; a backlog may take longer than that, and is waited for."""
STOP_TIMEOUT_S: Final = 300.0
READY_TIMEOUT_S: Final = 300.0
REPLAY_TIMEOUT_S: Final = 900.0
LOOK_S: Final = 0.5
TOKENS_LOOKED_FOR: Final = 20
CONTROL: Final = Needle("control", SOURCE.encode())
"""Every event's source: it must be found where the log and the events are."""
REPLAYED: Final = (PLAYBACK_EVENTS, PLAYBACK_BANDWIDTH, LICENSE_DECISIONS)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is made. The load goes on until the schedule is through and `events` are acked."""

    schedule: Schedule
    events: int
    rate_per_s: float
    clients: int = 32
    only: tuple[str, ...] = WITHOUT_EDGES
    launchers: Launchers = {}
    """Other programs in the place of components, and of the replay (`replay`)."""
    load_s_max: float = 7_200.0
    has_askers: bool = True
    runtime: Path | None = None


class FaultRunError(PlayheadError):
    """The run could not be made; it found nothing."""


Say = Callable[[str], None]


async def run_faults(plan: Plan, home: Path, say: Say) -> Report:
    """Raises FaultRunError or SandboxError where it cannot be made."""
    began_s, began_at = time.monotonic(), datetime.now(UTC)
    seed = plan.schedule.seed
    async with running_stage(
        home, runtime=plan.runtime, seed=seed, only=plan.only, launchers=_components(plan)
    ) as stage:
        say(f"everything is up after {time.monotonic() - began_s:.0f} s; seed {seed}")
        course = _Course(plan, stage, say)
        faults = await course.load()
        reconciled = await course.judge(faults)
    findings = reconciled.findings
    counted = sum(struck.counts for struck in faults)
    return Report(
        seed=seed,
        began_at=began_at.isoformat(timespec="seconds"),
        machine=machine_class(),
        took_s=round(time.monotonic() - began_s, 1),
        load_s=round(course.load_s, 1),
        posts=course.crowd.tally.posts,
        statuses=dict(sorted(course.crowd.tally.statuses.items())),
        faults=tuple(faults),
        reconciled=reconciled,
        peaks_mib={name: peak // MIB for name, peak in sorted(course.memory.peaks.items())},
        verdict=_verdict(findings.is_clean, reconciled.acked, counted),
    )


def _verdict(is_clean: bool, acked: int, faults: int) -> str:
    if not is_clean:
        return "a promise was broken"
    if not acked:
        return "nothing was acknowledged: nothing is proven"
    # Rule of three: with none found in n, the 95 % upper bound of the ratio is 3 / n.
    return (
        f"0 lost, 0 doubled, 0 phantom, order kept, under {faults} faults; lost or doubled of all"
        f" events: below {3 / acked:.1g} (95 %)"
    )


def _components(plan: Plan) -> Launchers:
    return {name: words for name, words in plan.launchers.items() if name in plan.only}


class _Course:
    """The steps of a run, in their order."""

    def __init__(self, plan: Plan, stage: Stage, say: Say) -> None:
        self._plan = plan
        self._stage = stage
        self._sandbox = stage.sandbox
        self._say = say
        self._home = self._sandbox.deployment.home
        self.ledger = ClientLedger(self._home / "client-ledger.ndjson")
        self.memory = MemoryWatch(self._sandbox)
        self.askers = Askers(self._sandbox) if plan.has_askers else None
        self.crowd = Crowd(
            stage.clients_url,
            self.ledger,
            self._open_session,
            system_clock,
            clients=plan.clients,
            rate_per_s=plan.rate_per_s,
            seed=plan.schedule.seed,
        )
        self.strikes = Strikes(stage, self.crowd, Evidence(stage, self.crowd, self.askers))
        self.load_s = 0.0
        self._tokens: list[str] = []

    def _open_session(self) -> tuple[str, str]:
        session_id, token = a_session(self._sandbox.deployment)
        if len(self._tokens) < TOKENS_LOOKED_FOR:
            self._tokens.append(token)
        return session_id, token

    async def load(self) -> list[Struck]:
        """Post and strike; then let every client finish."""
        if self.askers is not None:
            await self.askers.start()
        began_s = time.monotonic()
        watching = asyncio.create_task(self.memory.run())
        await self.crowd.start()
        try:
            struck = await self.strikes.run(self._plan.schedule, self._tell)
            while (
                self.crowd.tally.acked_events < self._plan.events
                and time.monotonic() - began_s < self._plan.load_s_max
            ):
                self.crowd.check()
                await asyncio.sleep(LOOK_S)
        finally:
            await self._stop_crowd()
            if self.askers is not None:
                await self.askers.stop()
            watching.cancel()
        self.load_s = time.monotonic() - began_s
        self._say(f"{self.crowd.tally.acked_events:,} events acknowledged; waiting for silence")
        return struck

    async def _stop_crowd(self) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.crowd.stop()
        except TimeoutError as error:
            raise FaultRunError("clients still wait for acknowledgments") from error

    def _tell(self, struck: Struck) -> None:
        fault = struck.fault
        span = f" {fault.lasts_s:.1f} s" if fault.lasts_s else ""
        back = "NOT RECOVERED" if struck.recovered_s is None else f"back in {struck.recovered_s} s"
        unproven = "" if struck.counts else "; does not count"
        self._say(
            f"{struck.at_s:6.1f} s  {fault.kind} {fault.place}{span}: {struck.in_flight}"
            f" {struck.evidence}, {back}, {self.crowd.tally.acked_events:,} acked{unproven}"
        )

    async def judge(self, faults: Sequence[Struck]) -> Reconciled:
        """Wait until all is stored, compare, replay everything, compare the totals again."""
        self.ledger.close()
        with suppress(TimeoutError):
            await self._sandbox.wait_ready(READY_TIMEOUT_S)
        questions = await asyncio.to_thread(Questions, self._sandbox)
        try:
            lags = await until_quiet(questions, QUIET_TIMEOUT_S)
            if lags:
                self._say(f"not silent, and nothing comes on: {lags}")
            self._say("comparing every session with what its clients know")
            poison = self.strikes.poison_count
            result = await reconcile(
                questions, self.ledger, self._home / "ledger-by-session", poison_count=poison
            )
            self._say("replaying everything: it must add nothing")
            result.findings.replay_added = await self._replay()
            lags |= await until_quiet(questions, QUIET_TIMEOUT_S)
            await compare_totals(questions, result, poison)
            delivered = self.askers.licenses if self.askers is not None else {}
            await compare_licenses(questions, result, delivered)
            self._say("looking for keys, tokens and passwords in every file and table")
            await self._look_for_secrets(result)
        finally:
            questions.close()
        findings = result.findings
        findings.lagging = sum(lags.values())
        findings.not_recovered = sum(struck.recovered_s is None for struck in faults)
        findings.beyond_memory = len(beyond_bounds(self.memory.peaks))
        findings.wrong_answers = len(self.crowd.tally.wrong)
        for text in (*self.crowd.tally.wrong, *(f"lags: {n} {c}" for n, c in lags.items())):
            result.note(text)
        return result

    async def _look_for_secrets(self, result: Reconciled) -> None:
        """I9, in files and tables."""
        deployment = self._sandbox.deployment
        needles = [CONTROL, *needles_of_folder(deployment.keys)]
        needles += [Needle("session token", token.encode()) for token in self._tokens]
        if self.askers is not None:
            for key in self.askers.keys:
                needles += needles_of_key(f"content key {key.key_id}", key.key)
            needles += [Needle("credential", said.encode()) for said in self.askers.credentials]
        files = await asyncio.to_thread(found_in_files, self._home, needles)
        tables = await asyncio.to_thread(found_in_tables, deployment.reader_url(), needles)
        if "events_raw" not in tables or not any(name.startswith("kafka/") for name in files):
            raise FaultRunError("the search for secrets does not find what must be there")
        for place, names in {**files, **tables}.items():
            for name in sorted(names - {CONTROL.name}):
                result.findings.secrets_found += 1
                result.note(f"secret: {name} in {place}")

    async def _replay(self) -> int:
        """Every topic of events and the license decisions; the rows that were added."""
        added = 0
        for topic in REPLAYED:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._plan.launchers.get("replay", OURS),
                *("replay", topic.name, "--rate", "0", "--json"),
                env={**os.environ, **environment_of(self._sandbox.deployment.settings)},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(REPLAY_TIMEOUT_S):
                said, why = await process.communicate()
            if process.returncode != 0:
                raise FaultRunError(f"the replay of {topic.name} failed: {why.decode()[-500:]}")
            lines = said.decode().strip().splitlines()
            added += int(msgspec.json.decode(_json_of(lines[-1]), type=dict[str, int])["added"])
        return added


def _json_of(line: str) -> str:
    return line[line.index("{") : line.rindex("}") + 1]
