"""`make bench`: measure, print a table, keep the figures in TFORMANCE_VAR/bench.json."""

import argparse
import importlib
import json
import sys
import time

from benchmarks import results
from tformance.local.state import var_folder

BENCHMARKS = (
    "door",
    "steady",
    "end_to_end",
    "growth",
    "memory",
    "backfill",
    "reconciliation",
    "inbox",
    "figures",
    "pages",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure tformance on this machine, each figure beside another of the same run. Read the ratios.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--document", action="store_true", help="write bench.json's figures into docs/performance.md")
    options = parser.parse_args()
    if options.document:
        results.document(json.loads((var_folder() / "bench.json").read_text()))
        return 0
    names = options.names or BENCHMARKS
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    var = var_folder()
    var.mkdir(parents=True, exist_ok=True)
    measured = []
    for name in names:
        started = time.monotonic()
        sys.stderr.write(f"measuring {name} …\n")
        found = list(importlib.import_module(f"benchmarks.{name}").measure())
        results.keep(found, var / "bench.json")
        sys.stderr.write(f"measured {name} in {time.monotonic() - started:.0f} s\n")
        measured += found
    results.show(measured)
    sys.stdout.write(f"kept in {var / 'bench.json'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
