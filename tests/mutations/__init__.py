"""Safety by safety: remove one, and show that a test fails."""

from pathlib import Path

from tests.mutations.mutation import Change, Mutation, read
from tformance.celery_settings import SCHEDULE


def entries_of_beat() -> list[Mutation]:
    names = [name for name in SCHEDULE if not name.startswith("celery.")]
    tests = {name: f"test_what_beat_sends_has_its_effect[{name}]" for name in names}
    change = {name: Change("SCHEDULE", f'"{name}":', f'# "{name}":') for name in tests}
    return [Mutation(f"beat sends {name}", (change[name],), test) for name, test in tests.items()]


FILES = sorted(Path(__file__).parent.glob("*.txt"))
MUTATIONS = (*entries_of_beat(), *(one for file in FILES for one in read(file)))
