"""
Measures the server and two devices as real processes, and prints ratios to what the machine can do without syncauth.

Parts: `sync` is replay, download, latency and capture (`syncing`), `refreshes` the rate of refreshes (`refreshing`),
`sockets` the cost of open sockets with nothing to do (`idling`). Exits with 1 if what is stored is not what it must be.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.bench.idling import idle_sockets
from tests.bench.refreshing import refreshes
from tests.bench.syncing import Bench

BUILD = Path(__file__).parents[2] / "build"
PARTS = ("sync", "refreshes", "sockets")


def main() -> None:
    """Measure, print, and write `build/bench.json`."""
    parser = argparse.ArgumentParser(description="Measure sync, refreshes and open sockets.")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--latencies", type=int, default=500)
    parser.add_argument("--refreshes", type=int, default=20_000)
    parser.add_argument("--sockets", type=int, default=5_000)
    arguments = parser.parse_args()
    parts = arguments.only or PARTS
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="syncauth-bench-") as name:
        directory = Path(name)
        if "sync" in parts:
            bench = Bench(directory, arguments.rows)
            bench.run(arguments.latencies)
            figures |= bench.figures
        if "refreshes" in parts:
            figures |= refreshes(directory, arguments.refreshes)
        if "sockets" in parts:
            figures |= idle_sockets(directory, arguments.sockets)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench.json").write_text(json.dumps(figures, indent=2) + "\n")
    width = max(map(len, figures))
    for name, figure in figures.items():
        sys.stdout.write(f"{name:<{width}}  {figure:12.2f}\n")


if __name__ == "__main__":
    main()
