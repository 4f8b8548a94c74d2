"""`python -m infra.bench.recommendations --events FILE.npz --protocol prequential --out FILE.json`.

Prints one JSON object, and writes it to the file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from infra.bench.recommendations.events import load_events
from infra.bench.recommendations.protocols import leave_one_out, prequential
from infra.bench.scenario_command import positive

_TOLD_EVERY = 50_000


def main(arguments: list[str] | None = None) -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description="Score the recommendation model on events.")
    parser.add_argument("--events", type=Path, required=True, help="a NumPy archive of events")
    parser.add_argument("--protocol", choices=["prequential", "leave-one-out"], required=True)
    parser.add_argument(
        "--from", dest="start", type=_share, default=2 / 3, help="share only learned"
    )
    parser.add_argument("--until", type=_share, default=1.0, help="share that is read")
    parser.add_argument("--every", type=positive, default=1, help="rank one in so many targets")
    parser.add_argument("--out", type=Path, required=True, help="where the JSON goes")
    options = parser.parse_args(arguments)
    try:
        events = load_events(options.events)
    except (OSError, KeyError, ValueError) as error:
        print(f"{options.events} has no events to read: {error}", file=sys.stderr)
        return 1
    if options.protocol == "prequential":
        scores = prequential(events, options.start, options.until, options.every, _tell)
    else:
        scores = leave_one_out(events, _tell)
    text = msgspec.json.format(msgspec.json.encode(scores), indent=2)
    options.out.write_bytes(text + b"\n")
    print(text.decode())
    return 0


def _tell(count: int) -> None:
    if count % _TOLD_EVERY == 0:
        print(f"{count} events", file=sys.stderr, flush=True)


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError("a share is between 0 and 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
