"""A program for tests: `python -m tests.integration.supervised HOME SCENARIO` supervises one."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.supervisor.component import Component
from infra.supervisor.errors import SupervisorError
from infra.supervisor.supervise import supervise

# Each tells that it runs by making the file that it is given, which is what its probe looks for.
SLEEP = (
    "import pathlib, sys, time; "
    "print('here', flush=True); pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
)
STUBBORN = (
    "import pathlib, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], process_group=0); "
    "print('here', flush=True); pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
)
FAIL = "import sys; sys.exit('the disk is not there')"


def table(home: Path, scenario: str) -> Sequence[Component]:
    """The components of a scenario; each tells its order by what it appends to HOME/order."""

    def a_component(
        name: str,
        code: str = SLEEP,
        *,
        after: tuple[str, ...] = (),
        stage: int = 0,
        nice: int = 0,
    ) -> Component:
        here = home / f"{name}.here"

        async def note() -> None:
            with (home / "order").open("a", encoding="utf-8") as order:
                order.write(f"{name}\n")

        async def is_here() -> bool:
            return here.exists()

        return Component(
            name=name,
            argv=(sys.executable, "-c", code, str(here)),
            env=dict(os.environ),
            ready=is_here,
            then=note,
            after=after,
            stage=stage,
            grace_s=0.5,
            once=code == "pass",
            nice=nice,
        )

    match scenario:
        case "whole":
            return (
                a_component("gateway", after=("license",), stage=2),
                a_component("license", after=("kafka", "topics"), stage=1, nice=3),
                a_component("topics", "pass", after=("kafka",)),
                a_component("kafka"),
            )
        case "stubborn":
            return (a_component("stubborn", STUBBORN),)
        case "failing":
            return (a_component("kafka"), a_component("license", FAIL))
        case port:
            return (
                Component(name="gateway", argv=("true",), env=dict(os.environ), port=int(port)),
            )


async def main(home: Path, scenario: str) -> int:
    """Supervise; print refusals as the command line does."""

    async def announce(total_s: float) -> None:
        print(f"all ready in {total_s:.1f} s", flush=True)

    try:
        return await supervise(table(home, scenario), home, announce)
    except SupervisorError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), sys.argv[2])))
