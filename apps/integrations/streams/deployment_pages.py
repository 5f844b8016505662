"""Pages of deployments, as GraphQL and REST show them."""

import enum
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact
from apps.github.objects import graphql_as_rest
from apps.github.objects.deployments import deployment_facts, reported
from apps.github.payload import PayloadReader, parse_time
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped, ensure_same_repository
from apps.integrations.streams.paging import item_reader
from apps.webhooks.parsing import UnusablePayloadError


class Phase(enum.StrEnum):
    """A read goes through these in their order."""

    PAGES = "pages"  # the deployments with their statuses, newest first
    DETAILS = "details"  # what REST alone shows of them
    BASELINES = "baselines"  # the last success before `since` of each environment that the pages did not come to
    JOBS = "jobs"  # the names of jobs that deployed to one environment beside each other


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentCursor:
    """The cursor: `after` is GraphQL's in the first phase and the last, `seen` says how far the second is.

    `reached` is when the oldest deployment of the pages was made, as GitHub wrote it; None where there is none older.
    `at_most` bounds a page whose statuses have to be read deployment by deployment. `environments` are still to be
    searched, the first of them now, none until they are chosen; `without_success` counts its pages without a success.
    `run_id` is the last workflow run whose jobs were read, `is_alone` whether runs with one deployment are read by now.
    """

    phase: Phase = Phase.PAGES
    after: str | None = None
    at_most: int = 100
    seen: int = 0
    reached: str | None = None
    environments: tuple[str, ...] = ()
    without_success: int = 0
    run_id: int | None = None
    is_alone: bool = False

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, cursor: str) -> "DeploymentCursor":
        read = json.loads(cursor) if cursor else {}
        if not read:
            return cls()
        return cls(**read | {"phase": Phase(read["phase"]), "environments": tuple(read["environments"])})

    def details(self, *, reached: str | None) -> "DeploymentCursor":
        return DeploymentCursor(phase=Phase.DETAILS, at_most=self.at_most, reached=reached)

    def seeing(self, seen: int) -> "DeploymentCursor":
        """Return the cursor so far down REST's listing."""
        return replace(self, seen=seen)

    def baselines(self) -> "DeploymentCursor":
        return DeploymentCursor(phase=Phase.BASELINES, at_most=self.at_most, reached=self.reached)

    def at(self, environments: Sequence[str]) -> "DeploymentCursor | None":
        """At the start of the first of these environments; None where there is none."""
        if not environments:
            return None
        return replace(self, environments=tuple(environments), after=None, without_success=0)

    def next_environment(self) -> "DeploymentCursor | None":
        return self.at(self.environments[1:])

    def jobs(self, *, run_id: int | None = None, is_alone: bool = False) -> "DeploymentCursor":
        return DeploymentCursor(phase=Phase.JOBS, run_id=run_id, is_alone=is_alone)

    def further(self, *, after: str, at_most: int, without_success: int = 0) -> "DeploymentCursor":
        return replace(self, after=after, at_most=at_most, without_success=without_success)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One deployment with all its statuses, in REST's shape."""

    deployment: PayloadReader
    statuses: tuple[PayloadReader, ...]
    created_at: datetime
    updated_at: datetime
    environment: str

    @classmethod
    def of(cls, deployment: PayloadReader, statuses: Iterable[PayloadReader]) -> "Shown":
        """Return the deployment, if it says at least which one it is, when, and where to; else UnusablePayloadError."""
        deployment.id()
        return cls(
            deployment=deployment,
            statuses=tuple(statuses),
            created_at=deployment.time("created_at"),
            updated_at=deployment.time("updated_at"),
            environment=deployment.text("environment"),
        )

    def has_succeeded_before(self, since: datetime) -> bool:
        """Return whether a status of success was reported before."""
        return any(_is_success_before(status, since) for status in self.statuses)

    def facts(self, *, repository_id: int) -> tuple[list[Fact], list[Skipped]]:
        """Return the facts of the deployment and its statuses; a status that cannot be used is named and skipped."""
        number, skipped = self.deployment.id(), list[Skipped]()
        try:
            facts = list(deployment_facts(self.deployment, repository_id=repository_id))
        except UnusablePayloadError as error:
            return [], [Skipped(what=f"deployment {number}", why=str(error))]
        for status in self.statuses:
            try:
                facts += tuple(reported(status, deployment=self.deployment, repository_id=repository_id))
            except UnusablePayloadError as error:
                skipped.append(Skipped(what=f"a status of deployment {number}", why=str(error)))
        return facts, skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPage:
    """A page of deployments, newest first: those that were wanted of it.

    `after` is where the list continues, None at its end; `last_made` is when the last of the page was made, as GitHub
    wrote it, wanted or not; `at_most` bounds the pages that follow.
    """

    shown: tuple[Shown, ...]
    after: str | None
    last_made: str | None
    at_most: int
    total: int
    skipped: tuple[Skipped, ...] = ()


def page_of(
    kept: Iterable[Shown],
    *,
    request: PageRequest,
    then: DeploymentCursor | None,
    total: int | None = None,
    facts: Iterable[Fact] = (),
    skipped: Iterable[Skipped] = (),
) -> Page:
    """These deployments with their statuses, other facts, and where reading continues."""
    said, unusable, items = list(facts), list(skipped), 0
    for shown in kept:
        more, unsaid = shown.facts(repository_id=request.repository_id)
        said, unusable, items = said + more, unusable + unsaid, items + 1
    cursor = then.as_text() if then else None
    return Page(facts=tuple(said), cursor=cursor, items=items, total=total, skipped=tuple(unusable))


def _is_success_before(status: PayloadReader, since: datetime) -> bool:
    try:
        return status.word("state") == "success" and status.time("created_at") < since
    except UnusablePayloadError:
        return False


Node = Mapping[str, Any]
A_PAGE = 100
MOST_STATUSES = 2_000
"""No deployment has more statuses; a list that continues after them has no end."""
AT_ONCE = 25
"""Deployments whose long lists of statuses are asked for together."""
FEW = 20
"""Deployments of one page whose statuses are read by REST, each with a request of its own."""
TOO_MUCH = {ResponseKind.SHRINK, ResponseKind.TRANSIENT}

IsWanted = Callable[[Node], bool]


def read_page(request: PageRequest, reader: Reader, cursor: DeploymentCursor, *, is_wanted: IsWanted) -> DeploymentPage:
    """Return the page at the cursor; a smaller one if too many of its deployments had to be read one by one."""
    answer, listed = _list(request, reader, cursor, document="deployment_page", first=_size(request, cursor))
    nodes = [node for node in listed["nodes"] if node is not None and is_wanted(node)]
    if cursor.at_most > FEW and sum(not _has_numbers(node, request) for node in nodes) > FEW:
        return read_page(request, reader, replace(cursor, at_most=FEW), is_wanted=is_wanted)
    skipped, shown = list(_holes(answer, listed)), list[Shown]()
    for node in _with_all_statuses(nodes, reader):
        what = f"deployment {node.get('databaseId') or node.get('id')}"
        try:
            shown.append(_shown(node, answer, request=request, reader=reader))
        except UnusablePayloadError as error:
            skipped.append(Skipped(what=what, why=str(error)))
        except RequestFailedError as unanswered:
            if unanswered.answer.kind not in REFUSALS:
                raise
            skipped.append(Skipped(what=what, why=unanswered.answer.message))
    return _page(listed, cursor, shown=shown, skipped=skipped)


def read_alone(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> DeploymentPage:
    """Return the one deployment at the cursor by REST, without a page of GraphQL; it is named if that fails too."""
    _, listed = _list(request, reader, cursor, document="deployment_ids", first=1)
    shown, skipped = list[Shown](), list[Skipped]()
    for node in listed["nodes"]:
        number = graphql_as_rest.deployment_number(node or {}, repository_id=request.repository_id)
        what = f"deployment {number or (node or {}).get('id')}"
        try:
            shown.append(_shown_by_rest(number, request=request, reader=reader))
        except UnusablePayloadError as error:
            skipped.append(Skipped(what=what, why=str(error)))
        except RequestFailedError as unanswered:
            if unanswered.answer.kind not in REFUSALS | TOO_MUCH:
                raise
            skipped.append(Skipped(what=what, why=unanswered.answer.message))
    return _page(listed, cursor, shown=shown, skipped=skipped)


def address_of(number: int | None, request: PageRequest) -> str:
    """Return where REST shows a deployment."""
    return f"{request.address}/deployments/{number}"


def _size(request: PageRequest, cursor: DeploymentCursor) -> int:
    return min(request.page_size, cursor.at_most)


def _list(
    request: PageRequest, reader: Reader, cursor: DeploymentCursor, *, document: str, first: int
) -> tuple[Answer, dict[str, Any]]:
    variables = {"owner": request.owner, "name": request.name, "first": first, "after": cursor.after}
    if cursor.environments:
        variables["environments"] = list(cursor.environments[:1])
    answer = reader.graphql(document, variables)
    repository = answer.data["repository"]
    ensure_same_repository(answer, repository_id=repository["databaseId"], request=request)
    return answer, repository["deployments"]


def _page(
    listed: dict[str, Any], cursor: DeploymentCursor, *, shown: Sequence[Shown], skipped: Sequence[Skipped]
) -> DeploymentPage:
    about, made = listed["pageInfo"], [node["createdAt"] for node in listed["nodes"] if node and "createdAt" in node]
    return DeploymentPage(
        shown=tuple(shown),
        after=about["endCursor"] if about["hasNextPage"] else None,
        at_most=cursor.at_most,
        total=listed["totalCount"],
        last_made=made[-1] if made else None,
        skipped=tuple(skipped),
    )


def _has_numbers(node: Node, request: PageRequest) -> bool:
    return graphql_as_rest.has_status_numbers(node, repository_id=request.repository_id)


def _holes(answer: Answer, listed: Mapping[str, Any]) -> Iterable[Skipped]:
    """Yield what GitHub shows as nothing, with the error that says why."""
    why = answer.message or "GitHub shows nothing in its position"
    for position, node in enumerate(listed["nodes"], start=1):
        if node is None:
            yield Skipped(what=f"deployment {position} of a page of {len(listed['nodes'])}", why=why)


def _with_all_statuses(nodes: Sequence[Node], reader: Reader) -> Iterable[Node]:
    """Yield the nodes in their order, each list of statuses read to its end."""
    unfinished = [node["id"] for node in nodes if graphql_as_rest.has_more_statuses(node)]
    longer: dict[str, Node] = {}
    for start in range(0, len(unfinished), AT_ONCE):
        longer |= _statuses_of(unfinished[start : start + AT_ONCE], reader)
    for node in nodes:
        found = longer.get(node["id"])
        yield {**node, "statuses": _finished(found, reader)["statuses"]} if found else node


def _statuses_of(ids: Sequence[str], reader: Reader, *, after: str | None = None) -> dict[str, Node]:
    answer = reader.graphql("deployment_statuses", {"ids": list(ids), "after": after})
    return {node["id"]: node for node in answer.data["nodes"] if node is not None}


def _finished(node: Node, reader: Reader) -> Node:
    before = None
    while graphql_as_rest.has_more_statuses(node):
        after = node["statuses"]["pageInfo"]["endCursor"]
        if after == before or len(node["statuses"]["nodes"]) > MOST_STATUSES:
            raise UnusablePayloadError("endless_list", f"the statuses of {node['id']} have no end")
        before = after
        more = _statuses_of([node["id"]], reader, after=after).get(node["id"])
        if more is None:
            return node  # deleted while it was read
        nodes = [*node["statuses"]["nodes"], *more["statuses"]["nodes"]]
        node = {**more, "statuses": {**more["statuses"], "nodes": nodes}}
    return node


def _shown(node: Node, answer: Answer, *, request: PageRequest, reader: Reader) -> Shown:
    repository_id = request.repository_id
    deployment = item_reader(
        graphql_as_rest.deployment(node, repository_id=repository_id), path="deployment", answer=answer
    )
    if not _has_numbers(node, request):
        return Shown.of(deployment, _statuses_by_rest(deployment.id(), request=request, reader=reader))
    shaped = (
        graphql_as_rest.deployment_status(status, repository_id=repository_id)
        for status in graphql_as_rest.statuses(node)
    )
    return Shown.of(deployment, [item_reader(status, path="deployment.status", answer=answer) for status in shaped])


def _shown_by_rest(number: int | None, *, request: PageRequest, reader: Reader) -> Shown:
    answer = reader.get(address_of(number, request))
    return Shown.of(
        item_reader(answer.data, path="deployment", answer=answer),
        _statuses_by_rest(number, request=request, reader=reader),
    )


def _statuses_by_rest(number: int | None, *, request: PageRequest, reader: Reader) -> list[PayloadReader]:
    found = list[PayloadReader]()
    path: str | None = f"{address_of(number, request)}/statuses?per_page={A_PAGE}"
    while path:
        answer = reader.get(path)
        found += [item_reader(status, path="deployment.status", answer=answer) for status in answer.data]
        if answer.next_path and (answer.next_path == path or not answer.data or len(found) > MOST_STATUSES):
            raise UnusablePayloadError("endless_list", f"the statuses of deployment {number} have no end")
        path = answer.next_path
    return found


def read(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> Page:
    """Return the page at the cursor."""
    page = read_page(request, reader, cursor, is_wanted=lambda node: _is_wanted(node, request))
    return _go_on(page, request, cursor)


def skip_item(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> Page:
    """Return the one deployment at the cursor, by REST."""
    return _go_on(read_alone(request, reader, cursor), request, cursor)


def _is_wanted(node: Node, request: PageRequest) -> bool:
    """Everything but what was made later than is asked for."""
    made_at = parse_time(node.get("createdAt"))
    return request.until is None or made_at is None or made_at <= request.until


def _go_on(page: DeploymentPage, request: PageRequest, cursor: DeploymentCursor) -> Page:
    """Return what is used of the page; the page that passes `since` is the last, and shows baselines without a cost."""
    kept = [shown for shown in page.shown if _is_asked_for(shown, request)]
    kept += [shown for shown in _baselines(page.shown, since=request.since) if shown not in kept]
    if page.after is None:
        then = cursor.details(reached=None)
    elif _has_passed(page.last_made, request.since):
        then = cursor.details(reached=page.last_made)
    else:
        then = cursor.further(after=page.after, at_most=page.at_most)
    total = page.total if request.since is None and request.until is None else None
    return page_of(kept, request=request, then=then, total=total, skipped=page.skipped)


def _is_asked_for(shown: Shown, request: PageRequest) -> bool:
    """`since` bounds what was updated, `until` what was made."""
    is_old = request.since is not None and max(shown.created_at, shown.updated_at) < request.since
    is_new = request.until is not None and shown.created_at > request.until
    return not is_old and not is_new


def _baselines(page: Iterable[Shown], *, since: datetime | None) -> list[Shown]:
    """Of each environment, the last that was made before `since` and had succeeded by then."""
    found: dict[str, Shown] = {}
    for shown in page:
        if since is not None and shown.created_at < since and shown.has_succeeded_before(since):
            found.setdefault(shown.environment, shown)
    return list(found.values())


def _has_passed(last_made: str | None, since: datetime | None) -> bool:
    made_at = parse_time(last_made)
    return since is not None and made_at is not None and made_at < since
