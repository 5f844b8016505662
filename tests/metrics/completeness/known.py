"""What is known of repositories, as rows and as values; instants are minutes after a Monday's midnight."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.activity.coverage import cover
from apps.activity.models import Coverage, Installation, Repository, RepositoryAccess
from apps.integrations.streams import STREAM_NAMES
from apps.metrics.completeness import Completeness, report_of
from apps.metrics.completeness.gaps import Period
from apps.teams.models import Team

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
API, WEB = 101, 102
APP = 7


def minute(number: float) -> datetime:
    """So many minutes after Monday's midnight."""
    return MONDAY + timedelta(minutes=number)


def hour(number: float) -> datetime:
    """So many hours after Monday's midnight."""
    return MONDAY + timedelta(hours=number)


def periods(*pairs: tuple[int, int]) -> list[Period]:
    """Return periods of minutes."""
    return [Period(minute(from_at), minute(to_at)) for from_at, to_at in pairs]


def reached(repository_id: int = API, *, installation_id: int = APP, **about: Any) -> Repository:
    """A repository that the App reaches, since the year before."""
    repository, _ = Repository.objects.update_or_create(
        github_id=repository_id,
        defaults={"full_name": f"acme/{'api' if repository_id == API else repository_id}", **about},
    )
    Installation.objects.get_or_create(github_id=installation_id)
    RepositoryAccess.objects.get_or_create(
        installation_id=installation_id, repository=repository, defaults={"has_access": True, "is_verified": True}
    )
    return repository


def read(from_h: float, to_h: float, repository_id: int = API, *, streams: Sequence[str] = STREAM_NAMES) -> None:
    """A pass over the streams that began at the second hour and reached back to the first."""
    for stream in streams:
        cover(str(stream), repository_id=repository_id, from_at=hour(from_h), to_at=hour(to_h))


def log_scanned(from_h: float, to_h: float) -> None:
    """Record that GitHub's delivery log was scanned completely for that time."""
    cover(Coverage.DELIVERIES, repository_id=None, from_at=hour(from_h), to_at=hour(to_h))


def team_of(*repository_ids: int, slug: str = "team") -> Team:
    team = Team.objects.create(name=slug.title(), slug=slug)
    for repository_id in repository_ids:
        team.tracked.create(repository_id=repository_id)
    return team


def completeness(
    *repository_ids: int, start_h: float | None = None, end_h: float = 1000, streams: Sequence[str] = STREAM_NAMES
) -> Completeness:
    """Return the completeness of the repositories together, in a window of hours."""
    report = report_of(repository_ids or (API,))
    start_at = None if start_h is None else hour(start_h)
    return report.of_team(start_at=start_at, end_at=hour(end_h), streams=streams)


def gaps(found: Completeness) -> list[tuple[str, float, float]]:
    """Reason, and the hours from and to."""
    return [(str(gap.reason), hours(gap.from_at), hours(gap.to_at)) for gap in found.gaps]


def until(found: Completeness) -> float | None:
    """The hour up to which it is complete."""
    return None if found.complete_until is None else hours(found.complete_until)


def hours(at: datetime) -> float:
    return (at - MONDAY) / timedelta(hours=1)
