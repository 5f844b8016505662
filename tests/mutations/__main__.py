"""python -m tests.mutations: remove one safety at a time in a copy of the tree, and show that its test fails.

Every named test must pass on the tree as it is; then each must fail without its safety. Exit code 1 if one does not.
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.mutations import MUTATIONS
from tests.mutations.mutation import Mutation
from tformance.local.engines import Engines
from tformance.local.state import CHECKOUT, var_folder

LONGEST_S, LONGEST_OF_EACH_S = 300, 10
WITHOUT_A_SAFETY_S = 60  # for the test alone, without what it stands on
PASSED, FAILED = 0, 1  # pytest's exit codes; any other says that no test ran as it should
NOTICED = "noticed"
WAITED_TOO_LONG = "from pytest-timeout"
NOT_INHERITED = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}  # tests choose for themselves


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations", description="Remove one safety at a time and show that a test fails for it."
    )
    parser.add_argument("words", nargs="*", help="only the safeties that contain one of these words")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    chosen = [one for one in MUTATIONS if not options.words or any(word in one.safety for word in options.words)]
    with Engines(var=var_folder() / "test", durable=False).in_use(), trees(options.jobs) as free:
        say(f"{len(chosen)} safeties. First the tests as they are …")
        if problem := _trouble_without_mutations(chosen):
            say(problem)
            return 1
        with ThreadPoolExecutor(max_workers=options.jobs) as pool:
            verdicts = list(pool.map(lambda one: _try(one, free), chosen))
    noticed = sum(verdicts)
    say(f"{'KEPT' if noticed == len(chosen) else 'FAILED'}: {noticed} of {len(chosen)} removed safeties were noticed.")
    return 0 if noticed == len(chosen) else 1


@contextmanager
def trees(count: int) -> Iterator["queue.Queue[Path]"]:
    """Copies of the tree, as many as are used at a time."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    with tempfile.TemporaryDirectory(prefix="tformance-mutations-") as folder:
        free: queue.Queue[Path] = queue.Queue()
        for number in range(count):
            for name in filter(lambda name: (CHECKOUT / name).is_file(), listed):
                target = Path(folder) / str(number) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(CHECKOUT / name, target)
            free.put(Path(folder) / str(number))
        yield free


def _trouble_without_mutations(chosen: Sequence[Mutation]) -> str:
    code, output = _pytest(CHECKOUT, sorted({one.test_id(CHECKOUT) for one in chosen}))
    return "" if code == PASSED else f"A test fails, or there is none, before anything was removed:\n{output}"


def _try(one: Mutation, free: "queue.Queue[Path]") -> bool:
    tree = free.get()
    started = time.monotonic()
    try:
        with mutated(tree, one):
            limits = ("-o", f"timeout={WITHOUT_A_SAFETY_S}", "-o", "timeout_func_only=true")
            code, output = _pytest(tree, [one.test_id(tree)], *limits)
    finally:
        free.put(tree)
    verdict = _verdict(one, code=code, output=output)
    say(f"{verdict:<12} {time.monotonic() - started:5.0f} s  {one.safety:<66} {one.test}")
    if verdict.startswith("BROKEN"):
        say(output)
    return verdict == NOTICED


def _verdict(one: Mutation, *, code: int, output: str) -> str:
    """A test that never ran, or was merely slow, has noticed nothing."""
    if code == PASSED:
        return "NOT NOTICED"
    has_failed = code == FAILED and " failed" in output and " error" not in output.rstrip().rpartition("\n")[2]
    if has_failed and (one.hangs or WAITED_TOO_LONG not in output):
        return NOTICED
    return f"BROKEN ({code})"


@contextmanager
def mutated(tree: Path, one: Mutation) -> Iterator[None]:
    """Keep the safety out of the tree until the block ends."""
    changed = one.changed_files(tree)
    originals = {path: (tree / path).read_text() for path in changed}
    try:
        for path, text in changed.items():
            (tree / path).write_text(text)
        yield
    finally:
        for path, text in originals.items():
            (tree / path).write_text(text)


def _pytest(tree: Path, tests: Sequence[str], *options: str) -> tuple[int, str]:
    own = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    environment = own | {"TFORMANCE_VAR": str(var_folder()), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options, *tests]
    longest = LONGEST_S + LONGEST_OF_EACH_S * len(tests)
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=longest, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"longer than {longest} s"
    return done.returncode, (done.stdout + done.stderr)[-4000:]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
