"""Looking at a repository's streams on GitHub: how many there are of one, a page of its list, one of it alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.github.payload import parse_time
from apps.github.responses import Answer, ResponseKind
from apps.integrations.reader import PageRequest, Reader, RequestFailedError
from apps.integrations.streams.paging import read_list, read_repository, read_rows
from apps.integrations.streams.pull_request_parts import errors_below
from apps.integrations.streams.stream import Deletable
from apps.webhooks.parsing import UnusablePayloadError

AT_ONCE = 100
YOUNG = timedelta(minutes=1)
"""What is younger may be in one list of GitHub's and not yet in another, and its webhook may be on its way."""


class ListTooLongError(Exception):
    """GitHub does not list all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many GitHub had at an instant by its own clock, of those that were made until `until`."""

    total: int
    at: datetime

    @property
    def until(self) -> datetime:
        return self.at - YOUNG


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """A page of a list: how many old enough to be counted, the ids of those that can be, and whether it goes on."""

    count: int
    ids: tuple[int, ...]
    goes_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLookup:
    """Counts and lists a stream on GitHub to find deletions; RequestFailedError proves nothing about them."""

    repository_id: int
    full_name: str
    has_issues: bool
    reader: Reader

    @property
    def request(self) -> PageRequest:
        now = timezone.now()
        return PageRequest(
            repository_id=self.repository_id,
            full_name=self.full_name,
            since=None,
            until=None,
            started_at=now,
            cursor="",
            page_size=AT_ONCE,
        )

    def count_issues(self) -> Counted:
        """GraphQL alone separates issues from pull requests."""
        answer = self.reader.graphql("issue_count", self._named())
        page, at = read_list(read_repository(answer, self.request).child("issues")), _answered_at(answer)
        return Counted(total=(page.total or 0) - _young(page.nodes, "createdAt", at=at), at=at)

    def count(self, of: Deletable) -> Counted:
        """Count by the newest page and the length of the last one; ListTooLongError if GitHub's list is cut off."""
        newest = self._ask(of, page=1, direction="desc")
        found, at, last = read_rows(newest), _answered_at(newest), newest.last_page
        young = _young(found, of.made, at=at)
        if last is None:
            return Counted(total=len(found) - young, at=at)
        if last >= of.most_pages:
            raise ListTooLongError
        final = read_rows(self._ask(of, page=last, direction="desc"))
        return Counted(total=(last - 1) * AT_ONCE + len(final) - young, at=at)

    def list_page(self, of: Deletable, *, page: int, until: datetime) -> ListPage:
        """A page of the list, oldest first where GitHub can: what is new comes last."""
        if page > of.most_pages:
            raise ListTooLongError
        answer = self._ask(of, page=page, direction="asc")
        old = [item for item in read_rows(answer) if not _is_after(item.get(of.made), until)]
        ids = tuple(int(item["id"]) for item in old if not any(item.get("draft") for _ in of.excluded))
        return ListPage(count=len(old), ids=ids, goes_on=answer.next_path is not None)

    def missing_issues(self, numbers: Sequence[int]) -> list[int]:
        """Those of up to a hundred issues that GitHub does not find, or answers from another repository."""
        asked: dict[str, Any] = dict(self._named())
        for place, number in enumerate(numbers):
            asked |= {f"has{place}": True, f"number{place}": number}
        answer = self.reader.graphql("issues_by_number", asked)
        read_repository(answer, self.request)
        shown = answer.data["repository"]
        return [number for place, number in enumerate(numbers) if self._is_elsewhere(answer, shown, f"at{place}")]

    def _is_elsewhere(self, answer: Answer, shown: Mapping[str, Any], name: str) -> bool:
        """Null for any other reason than that it was not found says nothing."""
        found = shown.get(name)
        if found is not None:
            return bool(found["repository"]["databaseId"] != self.repository_id)
        return {error.type for error in errors_below(answer, ("repository", name))} == {"NOT_FOUND"}

    def is_gone(self, of: Deletable, row: Any) -> bool:
        """Whether GitHub says of this very one that it is not there; RequestFailedError where it says neither."""
        try:
            answer = self.reader.get(f"{self.request.address}{of.path}/{getattr(row, of.key)}")
        except RequestFailedError as refusal:
            if refusal.answer.kind is ResponseKind.GONE:
                return True
            raise
        if not isinstance(answer.data, Mapping):
            raise UnusablePayloadError("shape_mismatch", f"a {of.noun} is {type(answer.data).__name__}, not an object")
        # An issue that was transferred is led to: it is another one there. What keeps its id is not deleted.
        return of.key == "number" and answer.data.get("id") != row.github_id

    def confirm_repository(self) -> datetime:
        """Return when GitHub showed the repository; RequestFailedError if it does not, which proves no deletion."""
        return _answered_at(self.reader.get(self.request.address))

    def _ask(self, of: Deletable, *, page: int, direction: str) -> Answer:
        order = {**of.order, "direction": direction} if of.order else {}
        return self.reader.get(f"{self.request.address}{of.path}", {"per_page": AT_ONCE, "page": page, **order})

    def _named(self) -> dict[str, str]:
        return {"owner": self.request.owner, "name": self.request.name}


def open_lookup(repository_id: int, *, reader: Reader) -> StreamLookup:
    """The repository as GitHub shows it now; RequestFailedError where it does not."""
    answer = reader.get(f"/repositories/{repository_id}")
    seen = answer.data if isinstance(answer.data, Mapping) else {}
    if seen.get("id") != repository_id:
        raise UnusablePayloadError("shape_mismatch", f"GitHub shows no repository {repository_id} at its own address")
    return StreamLookup(
        repository_id=repository_id,
        full_name=str(seen["full_name"]),
        has_issues=seen.get("has_issues") is not False,
        reader=reader,
    )


def _answered_at(answer: Answer) -> datetime:
    return answer.observed_at or timezone.now()


def _young(items: Sequence[Any], made: str, *, at: datetime) -> int:
    return sum(_is_after(item.get(made), at - YOUNG) for item in items)


def _is_after(text: object, moment: datetime) -> bool:
    """Whether GitHub writes of a later time; what has none, such as a draft, is not after anything."""
    made_at = parse_time(text)
    return made_at is not None and made_at > moment
