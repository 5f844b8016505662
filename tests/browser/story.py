"""A story of four weeks: review is quick, until in week 6 of 2026 the reviewer is away for three days."""

from collections.abc import Sequence

from tests.metrics.steps import PullRequestSteps, Step, deployed, pushed

PERIOD = "from=2026-01-12&to=2026-02-09"
WEEK_6 = "2026-02-02..2026-02-09"
CLAUDE = [("co-authored-by", "Claude <noreply@anthropic.com>")]
QUICK_DAYS = ("01-13", "01-20", "01-27")


def steps() -> list[Step]:
    return [
        *deployment(200, "01-12 08:00", sha="before"),
        *(step for number, day in enumerate(QUICK_DAYS, start=1) for step in quick(number, day)),
        *change(4, "ana", ("02-02 08:00", "02-02 09:00", "02-05 09:00", "02-05 10:00"), asked="ben"),
        *change(5, "cy", ("02-02 09:00", "02-02 10:00", "02-05 09:30", "02-05 10:30"), asked="ben"),
        *deployment(205, "02-05 11:00", sha="merge-5"),
        *change(6, "talbot", ("02-03 07:00", "02-03 08:00", "02-03 09:00", "02-03 10:00"), trailers=CLAUDE),
        *deployment(206, "02-03 12:00", sha="merge-6"),
        *change(7, "ben", ("02-03 12:20", "02-03 12:30", "02-03 12:40", "02-03 13:00"), body="Reverts #6"),
        *deployment(207, "02-03 14:00", sha="merge-7"),
        *deployment(208, "02-03 16:00", sha="merge-7", state="failure"),
        *PullRequestSteps(8, "ana").opened("02-06 10:00").requested("02-06 10:05", "cy").steps,
    ]


def quick(number: int, day: str) -> list[Step]:
    """A pull request that is reviewed within two hours, and deployed on the same day."""
    times = (f"{day} 08:00", f"{day} 09:00", f"{day} 11:00", f"{day} 12:00")
    return [
        *change(number, "ana", times, asked="ben"),
        *deployment(200 + number, f"{day} 13:00", sha=f"merge-{number}"),
    ]


def change(
    number: int,
    author: str,
    times: tuple[str, str, str, str],
    *,
    asked: str = "",
    body: str = "",
    trailers: Sequence[tuple[str, str]] = (),
) -> list[Step]:
    """A pull request by the times of its commit, opening, approval and merge."""
    begun, opened, approved, merged = times
    told = PullRequestSteps(number, author).opened(opened, body=body)
    if asked:
        told.requested(opened, asked)
    reviewer = asked or ("ana" if author != "ana" else "cy")
    told.reviewed(approved, reviewer).merged(merged)
    branch = pushed(
        begun,
        branch=f"branch-{number}",
        after=f"head-{number}",
        commits={f"head-{number}": begun},
        login=author,
        trailers=trailers,
    )
    on_main = pushed(
        merged,
        branch="main",
        before=f"before {number}",
        after=f"merge-{number}",
        commits={f"merge-{number}": merged},
        login=author,
    )
    return [branch, *told.steps, on_main]


def deployment(github_id: int, at: str, *, sha: str, state: str = "success") -> list[Step]:
    return deployed(github_id, statuses={state: at}, sha=sha)
