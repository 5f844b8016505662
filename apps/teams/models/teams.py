"""Teams, their members and repositories, who has access to them, and invitations."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, ClassVar, TypeVar
from zoneinfo import available_timezones

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.activity.models import Change, Contributor, GitHubTeam, Repository
from apps.teams.working_time import FIRST_YEAR, WorkingClock, WorkingTime, validate_place, validate_weekdays
from apps.users.access import is_operator
from apps.users.models import CustomUser, digest_of

Marked = TypeVar("Marked", bound="MarksChange")


class MarkingQuerySet(models.QuerySet[Marked]):
    """A queryset whose bulk edits append changes too."""

    def update(self, **values: Any) -> int:
        with transaction.atomic():
            before = list(self.select_for_update())
            mark(before)
            changed = super().update(**values)
            mark(self.model._default_manager.filter(pk__in=[row.pk for row in before]))
        return changed

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            mark(self)
            return super().delete()

    def bulk_create(self, objs: Iterable[Marked], *args: Any, **options: Any) -> list[Marked]:
        with transaction.atomic():
            created = super().bulk_create(objs, *args, **options)
            mark(created)
        return created


class MarksChange(models.Model):
    """A row whose every edit appends a change, before and after the edit because its key may change."""

    objects: ClassVar[Any] = MarkingQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            if self.pk and (before := type(self)._default_manager.filter(pk=self.pk).first()):
                mark([before])
            super().save(*args, **options)
            mark([self])

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            mark([self])
            return super().delete(*args, **options)

    def change(self) -> tuple[Change.Kind, str]:
        """Return the kind and key of what must be derived again."""
        raise NotImplementedError


def mark(rows: Iterable[MarksChange]) -> None:
    """Append one Change for each key of the rows."""
    touched = {row.change() for row in rows}
    Change.objects.bulk_create(Change(kind=kind, key=key) for kind, key in sorted(touched))


SLUG_LENGTH = 100


def weekdays() -> list[int]:
    """Return Monday to Friday."""
    return [1, 2, 3, 4, 5]


def time_zones() -> set[str]:
    """Return the names of the IANA time zone database; Debian adds the machine's own, which PostgreSQL lacks."""
    return available_timezones() - {"localtime"}


def validate_time_zone(name: str) -> None:
    """Reject a name that is not in the IANA time zone database."""
    if name not in time_zones():
        raise ValidationError(_("This is not an IANA time zone. Use a name like Europe/Berlin."))


class TeamQuerySet(MarkingQuerySet["Team"]):
    """Teams, filtered by user."""

    def visible_to(self, user: Any) -> "TeamQuerySet":
        """Return every team for an operator; for other users the approved teams they have access to."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if is_operator(user):
            return self.all()
        return self.filter(is_approved=True, accesses__user=user).distinct()

    def administered_by(self, user: Any) -> "TeamQuerySet":
        """Return every team for an operator; for other users the visible teams they are an admin of."""
        return self._with_role(user, TeamAccess.Role.ADMIN)

    def led_by(self, user: Any) -> "TeamQuerySet":
        """Return every team for an operator; for other users the visible teams they are a lead or an admin of."""
        return self._with_role(user, TeamAccess.Role.LEAD, TeamAccess.Role.ADMIN)

    def _with_role(self, user: Any, *roles: str) -> "TeamQuerySet":
        visible = self.visible_to(user)
        if is_operator(user):
            return visible
        return visible.filter(accesses__user_id=user.pk, accesses__role__in=roles)

    def note_sync(self, **values: Any) -> int:
        """Store the state of reconciliation without a change, because no figure depends on it."""
        return super(MarkingQuerySet, self).update(**values)


class Team(MarksChange):
    """A group of people and repositories with common figures.

    `account`: the team tracks every repository of this GitHub account that the App ever had access to. Further
    repositories are added one by one. A team without members includes everyone who works in its repositories.
    """

    class SyncFrequency(models.TextChoices):
        HOURLY = "hourly"
        DAILY = "daily"
        OFF = "off"

    class SyncStatus(models.TextChoices):
        NEVER = "never"
        RUNNING = "running"
        SUCCESS = "success"
        FAILED = "failed"

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=SLUG_LENGTH, unique=True)
    account = models.ForeignKey(
        Contributor, on_delete=models.PROTECT, null=True, blank=True, db_index=False, related_name="+"
    )
    github_team = models.OneToOneField(GitHubTeam, on_delete=models.PROTECT, null=True, blank=True, related_name="team")
    is_kept_in_step = models.BooleanField(
        default=False,
        db_default=False,
        verbose_name="is kept in step",
        help_text="Everyone who joins or leaves the team on GitHub joins or leaves this one.",
    )
    is_approved = models.BooleanField(
        default=True, help_text="Accounts that are not in ALLOWED_ACCOUNTS need the approval of an operator."
    )
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    production_environments = ArrayField(
        models.TextField(),
        default=list,
        blank=True,
        help_text="Names or patterns of the environments that count as production, in any case; * stands for any "
        "text. Empty: those that GitHub or their name calls production, prod or live.",
    )
    working_days = ArrayField(
        models.SmallIntegerField(),
        default=weekdays,
        db_default=[1, 2, 3, 4, 5],
        validators=[validate_weekdays],
        help_text="Days of the week that working hours are on: 1 is Monday, 7 is Sunday.",
    )
    working_from = models.TimeField(default=time(9), db_default=time(9), help_text="Local time.")
    working_until = models.TimeField(
        default=time(17),
        db_default=time(17),
        help_text="Local time, after the start; 00:00 is the end of the day.",
    )
    holidays_of = models.CharField(
        max_length=10,
        default="",
        db_default="",
        blank=True,
        validators=[validate_place],
        help_text="A country such as DE, or a part of it such as DE-BY: its public holidays are no working time.",
    )
    sync_frequency = models.CharField(max_length=10, choices=SyncFrequency.choices, default=SyncFrequency.DAILY)
    last_sync_status = models.CharField(max_length=10, choices=SyncStatus.choices, default=SyncStatus.NEVER)
    last_sync_error = models.TextField(default="", blank=True)
    last_synced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[Any] = TeamQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("account",), name="one_team_tracks_an_account"),
            models.CheckConstraint(
                condition=models.Q(working_until=time.min) | models.Q(working_from__lt=models.F("working_until")),
                name="working_hours_end_after_they_began",
                violation_error_message=_("Working hours must end after they begin; 00:00 is the end of the day."),
            ),
            models.CheckConstraint(
                condition=models.Q(is_kept_in_step=False) | models.Q(github_team__isnull=False),
                name="only_teams_made_of_one_on_github_are_kept_in_step",
                violation_error_message=_("Only a team that was made of one on GitHub can be kept in step with it."),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @cached_property
    def is_divided(self) -> bool:
        """Say whether it is of an account in which there are other teams."""
        others = TeamRepository.objects.filter(repository__owner=self.account_id).exclude(team=self.pk)
        return self.account_id is not None and others.exists()

    def set_production(self, environments: Sequence[str]) -> None:
        """Let these names or patterns of environments count as production; none is GitHub's flag and their name."""
        self.production_environments = list(dict.fromkeys(environments))
        self.save(update_fields=["production_environments"])

    def change(self) -> tuple[Change.Kind, str]:
        return Change.Kind.TEAM, str(self.pk)


YEARS_AHEAD = 2


class WorkingCalendar(models.Model):
    """The periods of a team's working time, one after the other, for figures in working hours.

    `starts`: when each begins, in seconds since 1970. `seconds`: the working seconds before each, and at last of all.
    """

    team = models.OneToOneField(Team, on_delete=models.CASCADE, primary_key=True, related_name="working_calendar")
    made_of = models.TextField(help_text="the settings and the last year that it was computed from")
    starts = ArrayField(models.FloatField())
    seconds = ArrayField(models.FloatField())

    def __str__(self) -> str:
        return f"working time of {self.team}"

    @classmethod
    def ensure(cls, team: Team) -> None:
        """Store the periods of the team if its settings, or the year, are not those that they were computed from."""
        last_year = datetime.now(UTC).year + YEARS_AHEAD
        hours = WorkingTime(
            time_zone=team.time_zone,
            days=tuple(sorted(set(team.working_days))),
            starts=team.working_from,
            ends=team.working_until,
            holidays_of=team.holidays_of,
        )
        made_of = f"{hours} until {last_year}"
        if cls.objects.filter(team=team, made_of=made_of).exists():
            return
        starts, seconds = list[float](), [0.0]
        for begun, ended in hours.periods(date(FIRST_YEAR, 1, 1), date(last_year, 12, 31)):
            starts.append(begun.timestamp())
            seconds.append(seconds[-1] + (ended - begun).total_seconds())
        cls.objects.update_or_create(team=team, defaults={"made_of": made_of, "starts": starts, "seconds": seconds})

    @classmethod
    def clock_of(cls, team: Team) -> WorkingClock:
        """Return the working time of the team for few instants; for many, a statement reads the calendar."""
        cls.ensure(team)
        starts, seconds = cls.objects.values_list("starts", "seconds").get(team=team)
        return WorkingClock(starts=starts, seconds=seconds)


class TeamMember(MarksChange):
    """A contributor whose work counts for a team between two instants; null is unlimited."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, db_index=False, related_name="members")
    contributor = models.ForeignKey(Contributor, on_delete=models.PROTECT, related_name="memberships")
    from_at = models.DateTimeField(null=True, blank=True)
    until_at = models.DateTimeField(null=True, blank=True)
    is_from_github = models.BooleanField(
        default=False, db_default=False, help_text="GitHub said so, and nobody changed it by hand since."
    )

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(from_at__isnull=True)
                | models.Q(until_at__isnull=True)
                | models.Q(from_at__lt=models.F("until_at")),
                name="a_membership_ends_after_it_began",
            ),
            models.UniqueConstraint(
                fields=("team", "contributor", "from_at"), name="a_membership_begins_once", nulls_distinct=False
            ),
        )

    def __str__(self) -> str:
        return f"{self.contributor} in {self.team}"

    @property
    def would_come_back(self) -> bool:
        """Say whether the team follows one on GitHub that would make this membership again."""
        return self.is_from_github and self.team.is_kept_in_step

    def change(self) -> tuple[Change.Kind, str]:
        return Change.Kind.TEAM, str(self.team_id)


class TeamRepository(MarksChange):
    """A repository that a team tracks in addition to those of its account."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, db_index=False, related_name="tracked")
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name_plural = "team repositories"
        constraints = (models.UniqueConstraint(fields=("team", "repository"), name="a_team_tracks_a_repository_once"),)

    def __str__(self) -> str:
        return f"{self.repository} for {self.team}"

    def change(self) -> tuple[Change.Kind, str]:
        return Change.Kind.TEAM, str(self.team_id)


class TeamAccess(models.Model):
    """A user who may see a team's figures. Each role may do what those before it may.

    A lead also sees figures by person and sets goals, an admin changes the team and who has access to it.
    """

    class Role(models.TextChoices):
        VIEWER = "viewer"
        LEAD = "lead"
        ADMIN = "admin"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, db_index=False, related_name="accesses")
    user = models.ForeignKey(CustomUser, on_delete=models.CASCADE, related_name="team_accesses")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        verbose_name_plural = "team accesses"
        constraints = (models.UniqueConstraint(fields=("team", "user"), name="a_user_has_one_role_in_a_team"),)

    def __str__(self) -> str:
        return f"{self.user} of {self.team}"


INVITATIONS_LAST = timedelta(days=7)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Invitations; the secret of the link is not stored."""

    def issue(self, *, team: Team, role: str, email: str = "", by: CustomUser | None = None) -> tuple[Any, str]:
        """Create an invitation and return it with the secret of its link, which cannot be read again."""
        secret = secrets.token_urlsafe(32)
        expires_at = datetime.now(UTC) + INVITATIONS_LAST
        digest = digest_of(secret)
        return self.create(
            team=team, role=role, email=email, invited_by=by, digest=digest, expires_at=expires_at
        ), secret

    def open(self) -> "InvitationQuerySet":
        """Return the invitations that can be accepted; they end with their author's right to invite to the team."""
        administers = TeamAccess.objects.filter(
            team=OuterRef("team"), user=OuterRef("invited_by"), role=TeamAccess.Role.ADMIN
        )
        may_invite = Q(invited_by__is_active=True) & (Q(invited_by__is_superuser=True) | Q(Exists(administers)))
        return self.filter(Q(invited_by=None) | may_invite, accepted_at=None, revoked_at=None, expires_at__gt=Now())

    def revoke(self) -> int:
        """End these invitations as far as they are open, and return how many were."""
        return self._close(revoked_at=Now())

    def accept(self, *, by: CustomUser) -> int:
        """Use these invitations up as far as they are open, and return how many were."""
        return self._close(accepted_at=Now(), accepted_by=by)

    def _close(self, **values: Any) -> int:
        # The last two conditions are checked again if another transaction closed it meanwhile.
        return self.filter(pk__in=self.open().values("pk"), accepted_at=None, revoked_at=None).update(**values)


class Invitation(models.Model):
    """An invitation to a team, by a link that is used once; only the digest of its secret is stored."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=TeamAccess.Role.choices)
    email = models.EmailField(blank=True, default="", help_text="Where the link was sent; empty if it was copied.")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    invited_by = models.ForeignKey(
        CustomUser,
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        help_text="Null: an operator, on the command line.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(CustomUser, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints = (
            models.CheckConstraint(
                condition=Q(revoked_at=None) | Q(accepted_at=None),
                name="an_invitation_is_accepted_or_revoked",
            ),
        )

    def __str__(self) -> str:
        return f"{self.role} of {self.team}"
