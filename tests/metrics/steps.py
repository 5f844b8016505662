"""Facts in steps: each step has the facts of one delivery, so that steps can be recorded in any order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from django.db import transaction

from apps.activity import facts
from apps.activity.facts import Fact
from apps.activity.record import record
from apps.metrics.recalculation import drain
from tests.activity.statements import filled

ACME, API, WEB = 9, 101, 102
PEOPLE = {
    "ana": (1, "user"),
    "ben": (2, "user"),
    "cy": (3, "user"),
    "talbot": (4, "user"),
    "dependabot[bot]": (5, "bot"),
    "coderabbitai[bot]": (6, "bot"),
    "github-actions[bot]": (7, "bot"),
    "copilot-swe-agent[bot]": (8, "bot"),
    "acme": (ACME, "organization"),
}
NOWHERE = "0" * 40
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Step = tuple[Fact, ...]
deliveries = count(1)


def instant(text: str) -> datetime:
    """`03-02 09:00` or `03-02 09:00:05`, in 2026, UTC; with a year in front, of that year."""
    text = text if text.startswith("20") else f"2026-{text}"
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stamp(at: datetime, *, is_merged: bool = False, rank: int = 0) -> facts.Stamp:
    return facts.Stamp(source_updated_at=at, translator_version=1, is_merged=is_merged, rank=rank)


def person(login: str) -> int:
    return PEOPLE[login][0]


def profile(login: str, *, kind: str | None = None, at: datetime = EPOCH) -> facts.ContributorProfile:
    github_id, known_kind = PEOPLE[login]
    return facts.ContributorProfile(stamp=stamp(at), github_id=github_id, login=login, kind=kind or known_kind)


def repository(github_id: int = API, *, full_name: str = "acme/api") -> facts.RepositoryState:
    return filled(
        facts.RepositoryState,
        stamp=stamp(EPOCH),
        github_id=github_id,
        full_name=full_name,
        owner_id=ACME,
        default_branch="main",
        is_private=True,
        created_at=instant("01-01 00:00"),
    )


def record_facts(*told: Fact) -> None:
    """Record the facts as one delivery."""
    with transaction.atomic():
        record([facts.evidence(facts.Source(kind="delivery", key=str(next(deliveries))), told)])


def record_steps(steps: Iterable[Step]) -> None:
    """Record the steps, one delivery each, and recalculate at the end."""
    for step in steps:
        record_facts(*step)
    assert drain(seconds=60)


@dataclass
class PullRequestSteps:
    """One pull request's life; every method adds the step that its delivery would bring."""

    number: int
    author: str
    repository_id: int = API
    branch: str = ""
    base: str = "main"
    steps: list[Step] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    _review_ids: Any = field(default_factory=lambda: count(1))
    _comment_ids: Any = field(default_factory=lambda: count(1))

    def opened(
        self, at: str, *, draft: bool = False, head: str = "", size: int = 10, body: str = ""
    ) -> "PullRequestSteps":
        head = head or f"head-{self.number}"
        self.state = {
            "github_id": self.repository_id * 1000 + self.number,
            "title": f"Change {self.number}",
            "state": "open",
            "is_draft": draft,
            "author_id": person(self.author),
            "created_at": instant(at),
            "closed_at": None,
            "merged_at": None,
            "merge_sha": None,
            "base_ref": self.base,
            "head_ref": self.branch or f"branch-{self.number}",
            "head_sha": head,
            "is_cross_repository": False,
        }
        sizes = filled(
            facts.PullRequestSizes,
            stamp=stamp(instant(at)),
            repository_id=self.repository_id,
            number=self.number,
            additions=size,
        )
        text = facts.PullRequestText(
            stamp=stamp(instant(at)), repository_id=self.repository_id, number=self.number, body=body
        )
        return self._step(at, sizes, text, self._event("head_moved", at, subject=head))

    def ready(self, at: str) -> "PullRequestSteps":
        return self._step(at, self._event("ready_for_review", at), is_draft=False)

    def drafted(self, at: str) -> "PullRequestSteps":
        return self._step(at, self._event("converted_to_draft", at), is_draft=True)

    def queued(self, at: str, kind: str = "enqueued") -> "PullRequestSteps":
        return self._step(at, self._event(kind, at))

    def closed(self, at: str) -> "PullRequestSteps":
        return self._step(at, self._event("closed", at), state="closed", closed_at=instant(at))

    def reopened(self, at: str) -> "PullRequestSteps":
        return self._step(at, self._event("reopened", at), state="open", closed_at=None)

    def moved(self, at: str, head: str) -> "PullRequestSteps":
        return self._step(at, self._event("head_moved", at, subject=head), head_sha=head)

    def merged(self, at: str, *, sha: str = "") -> "PullRequestSteps":
        sha = sha or f"merge-{self.number}"
        ended = {"closed_at": instant(at), "merged_at": instant(at), "merge_sha": sha}
        return self._step(at, self._event("closed", at), self._event("merged", at), state="closed", **ended)

    def reviewed(self, at: str, reviewer: str, verdict: str = "approved") -> "PullRequestSteps":
        known: dict[str, Any] = {
            "stamp": stamp(instant(at)),
            "github_id": (self.repository_id * 1000 + self.number) * 100 + next(self._review_ids),
            "repository_id": self.repository_id,
            "number": self.number,
        }
        submitted = filled(facts.ReviewSubmitted, **known, author_id=person(reviewer), submitted_at=instant(at))
        return self._step(at, submitted, facts.ReviewVerdict(**known, verdict=verdict), profile(reviewer))

    def requested(self, at: str, of: str, *, source: str = "webhook") -> "PullRequestSteps":
        """A review is requested of somebody, or of `team:` and the id of a team."""
        return self._about_reviewer("review_requested", at, of=of, source=source)

    def withdrawn(self, at: str, of: str, *, source: str = "webhook") -> "PullRequestSteps":
        return self._about_reviewer("review_request_removed", at, of=of, source=source)

    def commented(self, at: str, login: str) -> "PullRequestSteps":
        told = filled(
            facts.IssueCommentState,
            stamp=stamp(instant(at)),
            github_id=(self.repository_id * 1000 + self.number) * 100 + next(self._comment_ids),
            repository_id=self.repository_id,
            number=self.number,
            is_on_pull_request=True,
            author_id=person(login),
            created_at=instant(at),
        )
        self.steps.append((repository(self.repository_id), told, profile(login)))
        return self

    def _about_reviewer(self, kind: str, at: str, *, of: str, source: str) -> "PullRequestSteps":
        known = (profile(of),) if of in PEOPLE else ()
        subject = str(person(of)) if of in PEOPLE else of
        return self._step(at, self._event(kind, at, subject=subject, source=source), *known)

    def _event(self, kind: str, at: str, *, subject: str = "", source: str = "webhook") -> facts.PullRequestHappened:
        return facts.PullRequestHappened(
            repository_id=self.repository_id,
            number=self.number,
            kind=kind,
            subject=subject,
            at=instant(at),
            source=source,
            actor_id=person(self.author),
        )

    def _step(self, at: str, *told: Fact, **changes: Any) -> "PullRequestSteps":
        self.state |= changes
        core = filled(
            facts.PullRequestCore,
            stamp=stamp(instant(at), is_merged=self.state["merged_at"] is not None),
            repository_id=self.repository_id,
            number=self.number,
            updated_at=instant(at),
            **self.state,
        )
        self.steps.append((repository(self.repository_id), profile(self.author), core, *told))
        return self


def pushed(
    at: str,
    *,
    branch: str,
    after: str,
    before: str = NOWHERE,
    commits: Mapping[str, str],
    login: str = "ana",
    forced: bool = False,
    trailers: Sequence[tuple[str, str]] = (),
    repository_id: int = API,
) -> Step:
    """A push; `commits` gives each SHA's author date, `trailers` is in each message. On main, they land."""
    made = filled(
        facts.PushMade,
        repository_id=repository_id,
        ref=f"refs/heads/{branch}",
        before_sha=before,
        after_sha=after,
        pushed_at=instant(at),
        commit_shas=tuple(commits),
        distinct_shas=tuple(commits),
        is_default_branch=int(branch == "main"),
        is_forced=int(forced),
    )
    contents = [commit(sha, authored, login=login, repository_id=repository_id) for sha, authored in commits.items()]
    landed = [
        facts.CommitLanded(repository_id=repository_id, sha=sha, landed_at=instant(at))
        for sha in commits
        if branch == "main"
    ]
    lines = [
        facts.CommitTrailer(repository_id=repository_id, sha=sha, token=token, value=value)
        for sha in commits
        for token, value in trailers
    ]
    return (repository(repository_id), made, *contents, *lines, *landed)


def commit(sha: str, authored: str, *, login: str = "ana", repository_id: int = API) -> facts.CommitContent:
    return filled(
        facts.CommitContent,
        stamp=stamp(EPOCH),
        repository_id=repository_id,
        sha=sha,
        headline="A change",
        authored_at=instant(authored),
        committed_at=instant(authored),
        author_name=login,
        author_email=f"{login}@example.com",
        author_login=login,
    )


def deployed(
    github_id: int,
    *,
    statuses: Mapping[str, str],
    environment: str = "production",
    sha: str = "sha",
    run_id: int | None = None,
    created: str | None = None,
    repository_id: int = API,
) -> list[Step]:
    """A deployment and its statuses (state and time), each a step of its own."""
    first = created or next(iter(statuses.values()))
    requested = filled(
        facts.DeploymentState,
        stamp=stamp(instant(first)),
        github_id=github_id,
        repository_id=repository_id,
        sha=sha,
        environment=environment,
        task="deploy",
        creator_id=person("github-actions[bot]"),
        created_at=instant(first),
    )
    flags = facts.DeploymentFlags(
        stamp=requested.stamp,
        github_id=github_id,
        repository_id=repository_id,
        is_production=environment == "production",
        is_transient=False,
    )
    steps: list[Step] = [
        (
            repository(repository_id),
            profile("github-actions[bot]"),
            requested,
            flags,
            *run_of(github_id, run_id, repository_id),
        )
    ]
    for number, (state, at) in enumerate(statuses.items(), start=1):
        told = filled(
            facts.DeploymentStatusState,
            stamp=stamp(instant(at)),
            github_id=github_id * 10 + number,
            repository_id=repository_id,
            deployment_id=github_id,
            state=state,
            environment=environment,
            created_at=instant(at),
        )
        steps.append((repository(repository_id), requested, told))
    return steps


def run_of(github_id: int, run_id: int | None, repository_id: int = API) -> Sequence[Fact]:
    if run_id is None:
        return ()
    return (facts.DeploymentRun(stamp=stamp(EPOCH), github_id=github_id, repository_id=repository_id, run_id=run_id),)
