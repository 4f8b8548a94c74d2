"""What the operator sees: one line per component, and a moving one for what is awaited."""

import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def describe_exit(code: int) -> str:
    """An exit code in words: `exit code 1`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class Report:
    """Prints to `console`; the moving line only shows on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._turns = 0

    def ready(self, name: str, took_s: float, port: int | None, pid: int) -> None:
        """A component has become ready."""
        where = f"port {port}, " if port else ""
        self._line("green", "✓", name, f"ready in {took_s:.1f} s", f"{where}process {pid}")

    def done(self, name: str, took_s: float) -> None:
        """Work that ends by itself has ended well."""
        self._line("green", "✓", name, f"done in {took_s:.1f} s", "")

    def died(self, name: str, why: str, delay_s: float, log: Path, tail: Iterable[str]) -> None:
        """A component has died and is started again after `delay_s`."""
        when = f"starting again in {delay_s:.1f} s" if delay_s else "starting again"
        self._line("yellow", "↻", name, f"{why}; {when}", str(log))
        self._tail(tail)

    def failed(self, name: str, why: str, log: Path, tail: Iterable[str]) -> None:
        """A component is given up."""
        self._line("red", "✗", name, f"{why}; given up", str(log))
        self._tail(tail)

    def stopping(self, names: Iterable[str]) -> None:
        """These are being stopped."""
        self._line("cyan", "■", "stopping", ", ".join(names), "")

    def stopped(self, took_s: float) -> None:
        """Everything has ended."""
        self.await_none()
        self._line("cyan", "■", "stopped", f"everything in {took_s:.1f} s", "")

    def awaiting(self, waits: Iterable[tuple[str, float]]) -> None:
        """Redraw the moving line: what is awaited and since how many seconds."""
        if not self._console.is_terminal:
            return
        if self._live is None:
            # Redrawn by our own loop: a drawing thread would run while processes are forked.
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._turns += 1
        waiting = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in waits)
        turn = SPINNER[self._turns % len(SPINNER)]
        self._live.update(Text(f"{turn} starting {waiting}", style="cyan"), refresh=True)

    def await_none(self) -> None:
        """Remove the moving line."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, color: str, sign: str, name: str, what: str, detail: str) -> None:
        self._console.print(
            f"[{color}]{sign}[/] [bold]{escape(name):<16}[/] {escape(what)}  "
            f"[dim]{escape(detail)}[/]",
            highlight=False,
            soft_wrap=True,
        )

    def _tail(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._console.print(f"  [dim]│ {escape(line)}[/]", highlight=False, soft_wrap=True)


def print_summary(
    console: Console,
    *,
    addresses: Mapping[str, str],
    credentials: Mapping[str, str],
    total_s: float,
) -> None:
    """Print where everything is once it is ready, and how to sign in."""
    lines = {**addresses, **credentials}
    width = max(len(name) for name in lines) if lines else 0
    console.print()
    for name, value in lines.items():
        # Not a table, which would cut an address that is to be clicked.
        console.print(
            f"[bold]{escape(name):<{width}}[/]  [cyan]{escape(value)}[/]",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"\n[green]Ready in {total_s:.1f} s.[/] Ctrl-C stops everything.")
