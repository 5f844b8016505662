#!/usr/bin/env python3
"""Wait until nothing in the inbox waits, then check what became of GitHub's example payloads: one row for each."""

import argparse
import json
import pathlib
import subprocess
import sys
import time

SECONDS = 120
WAITING = ("received", "running", "failed")
NEVER = ("failed", "dead", "quarantined")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="the payloads that were posted")
    parser.add_argument("--times", type=int, required=True, help="under how many different keys each")
    return parser.parse_args()


def states() -> dict[str, int]:
    command = [sys.executable, "manage.py", "inbox", "--json"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name: int(count) for name, count in json.loads(answer)["states"].items()}


def settled() -> dict[str, int]:
    deadline = time.monotonic() + SECONDS
    while any((found := states()).get(name, 0) for name in WAITING) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def main() -> int:
    options = arguments()
    payloads = [path for path in options.folder.rglob("*.json") if path.name != "MANIFEST.json"]
    found = settled()
    print(json.dumps(found))
    problems = [f"{name}: {found[name]}" for name in {*WAITING, *NEVER} if found.get(name)]
    if (rows := sum(found.values())) != (expected := len(payloads) * options.times):
        problems.append(f"rows: {rows}, expected {expected}: one for each key that was answered 202")
    if not found.get("processed"):
        problems.append("processed: none")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
