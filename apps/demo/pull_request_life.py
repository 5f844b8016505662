"""The life of a pull request, from its branch's first push to its merge."""

from dataclasses import replace
from datetime import datetime
from itertools import count

from apps.demo.conversation_life import ConversationLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import planned
from apps.demo.shapes import Json, moment
from apps.demo.shapes.accounts import WEB_FLOW, Account, user
from apps.demo.shapes.git import NO_COMMIT, Commit, fake_sha
from apps.demo.shapes.issues import IssueNow, issue, issue_comment, label
from apps.demo.shapes.pull_requests import (
    PullRequestNow,
    pull_request,
    review,
    review_comment,
    short_pull_request,
    thread,
)


class PullRequestLife(ConversationLife):
    """A pull request in a scenario. Methods with a time are carried out at that time of the scenario."""

    def __init__(
        self, repository: RepositoryLife, *, number: int, author: Account, title: str, branch: str = "", body: str = ""
    ) -> None:
        super().__init__(repository, number=number, author=author, title=title, body=body)
        self.branch = branch or f"{author.login}/{number}"
        self.commits: list[Commit] = []
        self._now: PullRequestNow | None = None
        self._reviews: dict[str, Json] = {}
        self._shas = count()

    @property
    def now(self) -> PullRequestNow:
        if self._now is None:
            raise LookupError(f"Pull request {self.number} was not opened yet.")
        return self._now

    @property
    def head_sha(self) -> str:
        return self.commits[-1].sha if self.commits else NO_COMMIT

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @planned
    def push(
        self,
        at: datetime,
        *,
        authored_at: datetime | None = None,
        committed_at: datetime | None = None,
        message: str = "",
        by: Account | None = None,
        committer: Account | None = None,
    ) -> None:
        """Push a commit to the branch; the first one creates the branch."""
        author, before, committed_at = by or self.author, self.head_sha, committed_at or at
        made = Commit(
            self._sha(), author, message or self._title, authored_at or committed_at, committed_at, committer=committer
        )
        self.commits.append(made)
        self.repository.push(at, ref=self.ref, before=before, after=made.sha, commits=(made,), by=author)
        if before == NO_COMMIT:
            payload = self._reference(master_branch=self.repository.now.default_branch, description=None)
            self.repository.send("create", payload, at=at, sender=author)
        self._move_head(at, before=before, by=author)

    @planned
    def force_push(self, at: datetime, *, by: Account | None = None, keeping: int | None = None) -> None:
        """Rebase the first `keeping` commits and drop the others: each keeps its author date and gets a new SHA."""
        before, pusher = self.head_sha, by or self.author
        kept = self.commits[:keeping]
        self.commits = [replace(made, sha=self._sha(), committed_at=at, committer=by) for made in kept]
        commits = tuple(self.commits)
        self.repository.push(
            at, ref=self.ref, before=before, after=self.head_sha, commits=commits, by=pusher, is_forced=True
        )
        self._move_head(at, before=before, by=pusher)

    @planned
    def open(self, at: datetime, *, is_draft: bool = False, additions: int = 40, deletions: int = 8) -> None:
        self._now = PullRequestNow(
            id=self.scenario.next_id(),
            number=self.number,
            repository=self.repository.now,
            author=self.author,
            title=self._title,
            branch=self.branch,
            base_sha=self.repository.main_sha,
            head_sha=self.head_sha,
            created_at=at,
            updated_at=at,
            body=self._body or None,
            is_draft=is_draft,
            commit_count=len(self.commits),
            additions=additions,
            deletions=deletions,
        )
        self._send("opened", at, by=self.author)

    @planned
    def ready(self, at: datetime) -> None:
        self.now.is_draft = False
        self._send("ready_for_review", at, by=self.author)

    @planned
    def convert_to_draft(self, at: datetime) -> None:
        self.now.is_draft = True
        self._send("converted_to_draft", at, by=self.author)

    @planned
    def assign(self, at: datetime, *, to: Account, by: Account | None = None) -> None:
        self.now.assignees.append(to)
        self._send("assigned", at, by=by or self.author, assignee=user(to))

    @planned
    def unassign(self, at: datetime, *, of: Account) -> None:
        self.now.assignees.remove(of)
        self._send("unassigned", at, by=self.author, assignee=user(of))

    @planned
    def request_review(self, at: datetime, *, of: Account, by: Account | None = None) -> None:
        self.now.requested.append(of)
        self._send("review_requested", at, by=by or self.author, requested_reviewer=user(of))

    @planned
    def withdraw_request(self, at: datetime, *, of: Account) -> None:
        self.now.requested.remove(of)
        self._send("review_request_removed", at, by=self.author, requested_reviewer=user(of))

    @planned
    def unlabel(self, at: datetime, name: str) -> None:
        self.now.labels.remove(name)
        self._send("unlabeled", at, by=self.author, label=label(self.repository.now, name))

    @planned
    def retitle(self, at: datetime, title: str) -> None:
        changes = {"title": {"from": self.now.title}}
        self.now.title = title
        self._send("edited", at, by=self.author, changes=changes)

    @planned
    def retarget(self, at: datetime, base: str) -> None:
        """Change the branch that it is to be merged into."""
        before = self.now.base or self.repository.now.default_branch
        self.now.base = base
        changes = {"base": {"ref": {"from": before}, "sha": {"from": self.now.base_sha}}}
        self._send("edited", at, by=self.author, changes=changes)

    @planned
    def enable_auto_merge(self, at: datetime, *, by: Account) -> None:
        self.now.auto_merge_by = by
        self._send("auto_merge_enabled", at, by=by)

    @planned
    def disable_auto_merge(self, at: datetime, *, by: Account) -> None:
        self.now.auto_merge_by = None
        self._send("auto_merge_disabled", at, by=by, reason="disabled by hand")

    @planned
    def enqueue(self, at: datetime, *, by: Account) -> None:
        """Put it into the merge queue."""
        self._send("enqueued", at, by=by)

    @planned
    def dequeue(self, at: datetime, *, by: Account, reason: str = "MANUAL") -> None:
        """Take it out of the merge queue; GitHub does so with reason `MERGE` before it merges."""
        self._send("dequeued", at, by=by, reason=reason)

    @planned
    def merge(self, at: datetime, *, by: Account) -> None:
        """Merge with a merge commit on the main branch, and delete the branch."""
        arriving = [replace(made, is_distinct=False) for made in self.commits]
        message = f"Merge pull request #{self.number}\n\n{self._title}"
        merged = Commit(self._sha(), by, message, at, at, committer=WEB_FLOW)
        self.now.closed_at = self.now.merged_at = at
        self.now.merged_by, self.now.merge_sha = by, merged.sha
        self._send("closed", at, by=by)
        self.repository.push_to_main(at, commits=(*arriving, merged), by=by)
        self.repository.push(at, ref=self.ref, before=self.head_sha, after=NO_COMMIT, by=by)
        self.repository.send("delete", self._reference(), at=at, sender=by)

    @planned
    def review(self, at: datetime, *, by: Account, state: str) -> None:
        """Submit a review; `state` is `approved`, `changes_requested` or `commented`."""
        made = review(self.scenario.next_id(), of=self.now, author=by, state=state, submitted_at=at)
        self._reviews[by.login] = made
        self.now.requested = [account for account in self.now.requested if account != by]
        self._send_child("pull_request_review", "submitted", at, by=by, review=made)

    @planned
    def dismiss_review(self, at: datetime, *, of: Account, by: Account) -> None:
        """Dismiss the latest review of an account; GitHub does not send its earlier state again."""
        made = {**self._reviews[of.login], "state": "dismissed", "updated_at": moment(at)}
        self._send_child("pull_request_review", "dismissed", at, by=by, review=made)

    @planned
    def remark(self, at: datetime, *, by: Account, is_resolved: bool = True) -> None:
        """Comment on a line, which GitHub sends as a review too, and resolve the thread if asked."""
        made = review(self.scenario.next_id(), of=self.now, author=by, state="commented", submitted_at=at)
        comment = review_comment(self.scenario.next_id(), of=self.now, author=by, review_id=made["id"], created_at=at)
        self._reviews.setdefault(by.login, made)
        self._send_child("pull_request_review", "submitted", at, by=by, review=made)
        self._send_child("pull_request_review_comment", "created", at, by=by, comment=comment)
        if is_resolved:
            about = thread(self.scenario.next_id(), comment)
            self._send_child("pull_request_review_thread", "resolved", at, by=self.author, thread=about)

    @planned
    def comment(self, at: datetime, *, by: Account) -> None:
        """Comment outside the diff; GitHub shows the pull request as an issue there."""
        now = self.now
        now.updated_at = at
        seen = IssueNow(
            id=now.id + 1,
            number=self.number,
            repository=self.repository.now,
            author=self.author,
            title=now.title,
            created_at=now.created_at,
            updated_at=at,
            closed_at=now.closed_at,
            labels=now.labels,
            is_pull_request=True,
        )
        said = issue_comment(self.scenario.next_id(), of=seen, author=by, created_at=at)
        self.repository.send(
            "issue_comment", {"action": "created", "issue": issue(seen), "comment": said}, at=at, sender=by
        )

    def _sha(self) -> str:
        return fake_sha(self.repository.now.id, self.number, next(self._shas))

    def _reference(self, **more: object) -> Json:
        return {"ref": self.branch, "ref_type": "branch", **more, "pusher_type": "user"}

    def _move_head(self, at: datetime, *, before: str, by: Account) -> None:
        if self._now is None or self._now.closed_at is not None:
            return
        self._now.head_sha, self._now.commit_count = self.head_sha, len(self.commits)
        self._send("synchronize", at, by=by, before=before, after=self.head_sha)

    def _send(self, action: str, at: datetime, *, by: Account, **more: object) -> None:
        self.now.updated_at = at
        payload = {"action": action, "number": self.number, "pull_request": pull_request(self.now), **more}
        self.repository.send("pull_request", payload, at=at, sender=by)

    def _send_child(self, event: str, action: str, at: datetime, *, by: Account, **more: object) -> None:
        self.now.updated_at = at
        payload = {"action": action, **more, "pull_request": short_pull_request(self.now)}
        self.repository.send(event, payload, at=at, sender=by)
