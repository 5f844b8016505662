"""Who and what the demo is about: two organisations, two repositories each, all of them invented."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.integrations.story.shapes.accounts import Account, person

DEPENDABOT = person(810_001, "dependabot[bot]")
REVIEW_BOT = person(810_002, "second-look[bot]")
ACTIONS = person(810_003, "github-actions[bot]")


@dataclass(frozen=True, slots=True)
class Company:
    """An account that installed the App, and how its people work."""

    account: Account
    installation_id: int
    first_id: int
    repositories: tuple[tuple[int, str], ...]
    people: tuple[Account, ...]
    hours_to_review: float
    draft_share: float
    has_review_bot: bool


def people(first_id: int, *logins: str) -> tuple[Account, ...]:
    return tuple(person(first_id + number, login) for number, login in enumerate(logins))


COMPANIES: Sequence[Company] = (
    Company(
        account=Account(820_000, "harbor-works", "Organization"),
        installation_id=830_001,
        first_id=1_100_000_000,
        repositories=((840_001, "quay"), (840_002, "beacon")),
        people=people(820_010, "ines-vidal", "tomasz-w", "oyelaran", "junko-h", "petra-n"),
        hours_to_review=5.0,
        draft_share=0.3,
        has_review_bot=True,
    ),
    Company(
        account=Account(820_100, "lantern-labs", "Organization"),
        installation_id=830_002,
        first_id=1_200_000_000,
        repositories=((840_003, "wick"), (840_004, "flint")),
        people=people(820_110, "marisol-k", "dag-e", "wanjiru", "bruno-s"),
        hours_to_review=14.0,
        draft_share=0.15,
        has_review_bot=False,
    ),
)

VERBS = ("Add", "Fix", "Simplify", "Cache", "Remove", "Speed up", "Rename", "Test", "Document", "Split")
THINGS = (
    "the export",
    "the login page",
    "retries of the mailer",
    "the search index",
    "paging of the list",
    "the rate limiter",
    "old feature flags",
    "the invoice template",
    "the health check",
    "the upload form",
    "time zones in reports",
    "the session store",
)
PACKAGES = ("requests", "urllib3", "cryptography", "django", "redis", "certifi", "pillow")
