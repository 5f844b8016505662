"""Deployments with all their statuses, by GraphQL as far as it tells their numbers and by REST where it does not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from apps.github.answers import Answer
from apps.github.objects import graphql
from apps.github.payload import Reading
from apps.github.responses import REFUSALS, Kind
from apps.integrations.backfill.walking import Errand, Reader, Skipped, Unanswered
from apps.integrations.backfill.walks.deployments.place import DeploymentPlace
from apps.integrations.backfill.walks.deployments.shown import DeploymentPage, Shown
from apps.integrations.backfill.walks.lists import opened
from apps.integrations.backfill.walks.strangers import refuse_stranger
from apps.webhooks.errors import UnusablePayload

Node = Mapping[str, Any]
A_PAGE = 100
MOST_STATUSES = 2_000
"""No deployment has more statuses; a list that goes on beyond them has no end."""
AT_ONCE = 25
"""Deployments whose long lists of statuses are asked for together."""
FEW = 20
"""Deployments of one page whose statuses are read by REST, each with a request of its own."""
TOO_MUCH = {Kind.SHRINK, Kind.TRANSIENT}

IsWanted = Callable[[Node], bool]


def read_page(errand: Errand, reader: Reader, place: DeploymentPlace, *, is_wanted: IsWanted) -> DeploymentPage:
    """The page at the place; a smaller one if too many of its deployments had to be read one by one."""
    answer, listed = _list(errand, reader, place, document="deployment_page", first=_size(errand, place))
    nodes = [node for node in listed["nodes"] if node is not None and is_wanted(node)]
    if place.at_most > FEW and sum(not _tells_numbers(node, errand) for node in nodes) > FEW:
        return read_page(errand, reader, replace(place, at_most=FEW), is_wanted=is_wanted)
    skipped, shown = list(_holes(answer, listed)), list[Shown]()
    for node in _with_all_statuses(nodes, reader):
        what = f"deployment {node.get('databaseId') or node.get('id')}"
        try:
            shown.append(_shown(node, answer, errand=errand, reader=reader))
        except UnusablePayload as error:
            skipped.append(Skipped(what=what, why=str(error)))
        except Unanswered as unanswered:
            if unanswered.answer.kind not in REFUSALS:
                raise
            skipped.append(Skipped(what=what, why=unanswered.answer.verdict.message))
    return _page(listed, place, shown=shown, skipped=skipped)


def read_alone(errand: Errand, reader: Reader, place: DeploymentPlace) -> DeploymentPage:
    """The one deployment at the place by REST, without a page of GraphQL; named if that does not come either."""
    _, listed = _list(errand, reader, place, document="deployment_ids", first=1)
    shown, skipped = list[Shown](), list[Skipped]()
    for node in listed["nodes"]:
        number = graphql.deployment_number(node or {}, repository_id=errand.repository_id)
        what = f"deployment {number or (node or {}).get('id')}"
        try:
            shown.append(_shown_by_rest(number, errand=errand, reader=reader))
        except UnusablePayload as error:
            skipped.append(Skipped(what=what, why=str(error)))
        except Unanswered as unanswered:
            if unanswered.answer.kind not in REFUSALS | TOO_MUCH:
                raise
            skipped.append(Skipped(what=what, why=unanswered.answer.verdict.message))
    return _page(listed, place, shown=shown, skipped=skipped)


def address_of(number: int | None, errand: Errand) -> str:
    """Where REST shows a deployment."""
    return f"{errand.address}/deployments/{number}"


def _size(errand: Errand, place: DeploymentPlace) -> int:
    return min(errand.page_size, place.at_most)


def _list(
    errand: Errand, reader: Reader, place: DeploymentPlace, *, document: str, first: int
) -> tuple[Answer, dict[str, Any]]:
    variables = {"owner": errand.owner, "name": errand.name, "first": first, "after": place.after}
    if place.environments:
        variables["environments"] = list(place.environments[:1])
    answer = reader.graphql(document, variables)
    repository = answer.data["repository"]
    refuse_stranger(answer, repository_id=repository["databaseId"], errand=errand)
    return answer, repository["deployments"]


def _page(
    listed: dict[str, Any], place: DeploymentPlace, *, shown: Sequence[Shown], skipped: Sequence[Skipped]
) -> DeploymentPage:
    about, made = listed["pageInfo"], [node["createdAt"] for node in listed["nodes"] if node and "createdAt" in node]
    return DeploymentPage(
        shown=tuple(shown),
        after=about["endCursor"] if about["hasNextPage"] else None,
        at_most=place.at_most,
        total=listed["totalCount"],
        last_made=made[-1] if made else None,
        skipped=tuple(skipped),
    )


def _tells_numbers(node: Node, errand: Errand) -> bool:
    return graphql.tells_status_numbers(node, repository_id=errand.repository_id)


def _holes(answer: Answer, listed: Mapping[str, Any]) -> Iterable[Skipped]:
    """What GitHub shows as nothing, with the error that says why."""
    why = answer.verdict.message or "GitHub shows nothing in its place"
    for place, node in enumerate(listed["nodes"], start=1):
        if node is None:
            yield Skipped(what=f"deployment {place} of a page of {len(listed['nodes'])}", why=why)


def _with_all_statuses(nodes: Sequence[Node], reader: Reader) -> Iterable[Node]:
    """The nodes in their order, each list of statuses read to its end."""
    unfinished = [node["id"] for node in nodes if graphql.has_more_statuses(node)]
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
    while graphql.has_more_statuses(node):
        after = node["statuses"]["pageInfo"]["endCursor"]
        if after == before or len(node["statuses"]["nodes"]) > MOST_STATUSES:
            raise UnusablePayload("endless_list", f"the statuses of {node['id']} have no end")
        before = after
        more = _statuses_of([node["id"]], reader, after=after).get(node["id"])
        if more is None:
            return node  # deleted while it was read
        nodes = [*node["statuses"]["nodes"], *more["statuses"]["nodes"]]
        node = {**more, "statuses": {**more["statuses"], "nodes": nodes}}
    return node


def _shown(node: Node, answer: Answer, *, errand: Errand, reader: Reader) -> Shown:
    repository_id = errand.repository_id
    deployment = opened(graphql.deployment(node, repository_id=repository_id), path="deployment", answer=answer)
    if not _tells_numbers(node, errand):
        return Shown.of(deployment, _statuses_by_rest(deployment.id(), errand=errand, reader=reader))
    shaped = (graphql.deployment_status(status, repository_id=repository_id) for status in graphql.statuses(node))
    return Shown.of(deployment, [opened(status, path="deployment.status", answer=answer) for status in shaped])


def _shown_by_rest(number: int | None, *, errand: Errand, reader: Reader) -> Shown:
    answer = reader.get(address_of(number, errand))
    return Shown.of(
        opened(answer.data, path="deployment", answer=answer), _statuses_by_rest(number, errand=errand, reader=reader)
    )


def _statuses_by_rest(number: int | None, *, errand: Errand, reader: Reader) -> list[Reading]:
    found = list[Reading]()
    path: str | None = f"{address_of(number, errand)}/statuses?per_page={A_PAGE}"
    while path:
        answer = reader.get(path)
        found += [opened(status, path="deployment.status", answer=answer) for status in answer.data]
        if answer.next_path and (answer.next_path == path or not answer.data or len(found) > MOST_STATUSES):
            raise UnusablePayload("endless_list", f"the statuses of deployment {number} have no end")
        path = answer.next_path
    return found
