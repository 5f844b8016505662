"""Deliveries in any order and with repeats, and what they come to."""

import random
from collections.abc import Sequence
from uuid import uuid4

from django.apps import apps

from apps.demo.scenario import Sent
from apps.metrics.recalculation import drain as recalculate
from apps.webhooks.worker import drain as process
from tests.activity.tables import contents, empty
from tests.github.translation import Door
from tests.metrics.comparing import derived_tables

BY_ARRIVAL = {"Installation", "GitReference", "Contributor"}  # signals and names: docs/guarantees.md, "not promised"


def work_off() -> None:
    """What workers do when the bell rings."""
    process([], task_id=str(uuid4()), is_redelivered=False)
    recalculate(seconds=60)


def forget_everything() -> None:
    labels = ("webhooks", "activity", "metrics", "teams")
    empty(model._meta.db_table for label in labels for model in apps.get_app_config(label).get_models())


def all_tables() -> dict[str, object]:
    """Whatever is promised to be the same in any order: facts and what is derived from them."""
    return {name: rows for name, rows in contents().items() if name not in BY_ARRIVAL} | derived_tables()


def deliver_shuffled(told: Sequence[Sent], *, seed: int) -> None:
    """Every delivery, a third of them twice, in a random order, worked off at random moments."""
    chance = random.Random(seed)  # noqa: S311  a repeatable shuffle
    shuffled = [*told, *chance.sample(told, k=len(told) // 3)]
    chance.shuffle(shuffled)
    door = Door()
    for start in range(0, len(shuffled), 40):
        door.deliver(shuffled[start : start + 40])
        if chance.random() < 0.5:
            work_off()
    work_off()
