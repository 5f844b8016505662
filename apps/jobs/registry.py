"""The kinds of jobs there are, and what the dispatcher looks after. Each app registers its own when it is ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.jobs.models import Job


SLICE_S = 15.0
"""A task begins no request later: one takes 30 s at the most, and a task 45 s."""
PLAN_EVERY_S = 4.0
"""A little less than the dispatcher's 5 s: each of its ticks finds it due, and those of other workers do not."""
Words = Mapping[str, tuple[str, str]]
"""By the one word that a job keeps as its reason: why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the dispatcher does again and again: it takes moments, and what takes longer is a job.

    `run` is called once in `every_s` seconds by whichever worker comes first, and by each dispatch where that is 0.
    """

    name: str
    run: Callable[[], object]
    every_s: float = PLAN_EVERY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """What a job does.

    `run` works on a claimed job until `deadline_s` (of time.monotonic) at the most, and puts it off or ends it. `plan`
    opens the jobs that are to be done, however often it is asked; it learns whether beat has just started. An
    installation has `places` at work at once. A job that `recurs` has one row forever: ended for good, it would never
    be done again.

    `words` says why a job waits where the general words do not fit. `repository` and `part` are lookups
    from a job to its repository and to what it does of it: who may see the repository sees the job.
    """

    name: str
    priority: int
    run: "Callable[[Job, float], None]"
    plan: Callable[[bool], object] | None = None
    places: int = 1
    recurs: bool = False
    words: Words = field(default_factory=dict)
    repository: str = ""
    part: str = ""

    @property
    def title(self) -> str:
        """Return what is done, in words."""
        return self.name.replace("_", " ").capitalize()


_kinds: dict[str, JobKind] = {}
_plans: dict[str, Plan] = {}


def register(kind: JobKind) -> None:
    """Have jobs of the kind planned and run."""
    _kinds[kind.name] = kind


def register_plan(plan: Plan) -> None:
    """Have the dispatcher run the plan."""
    _plans[plan.name] = plan


def kinds() -> list[JobKind]:
    """Return every kind that is registered."""
    return list(_kinds.values())


def known_kind(job: "Job") -> JobKind | None:
    """Return the job's kind; None where a later version knew it."""
    return _kinds.get(job.kind)


def plans(*, at_start: bool = False) -> list[Plan]:
    """Return every plan that is registered, and one for each kind whose jobs are planned."""
    of_kinds = [Plan(name=kind.name, run=partial(kind.plan, at_start)) for kind in kinds() if kind.plan is not None]
    return [*_plans.values(), *of_kinds]
