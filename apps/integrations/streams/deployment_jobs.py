"""The names of jobs that deployed, which deployments and their statuses do not have: a status links to its job by id.

Two jobs of a run that deploy to one environment are two services. REST alone says which jobs a run had, a call for each
run: only those are asked for that made several deployments to an environment, and then, where their jobs turned out to
be different ones, those that made one there. A repository whose runs deploy once costs nothing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from apps.activity.facts import Fact
from apps.activity.models import Deployment
from apps.common import db
from apps.github.objects.deployments import job_facts
from apps.github.payload import BIGGEST_ID
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams.deployment_pages import TOO_MUCH, DeploymentCursor, page_of
from apps.integrations.streams.paging import item_reader
from apps.webhooks.parsing import UnusablePayloadError

RUNS_AT_ONCE = 10
MOST_PAGES = 30
"""Of the jobs of one run: a list that continues after them has no end."""

# Named deployments of any time show which environments have services by job.
RUNS_WITHOUT_NAMES = """
    WITH made AS MATERIALIZED (
        SELECT environment, run_id, count(DISTINCT coalesce(job_id, -github_id)) > 1 AS has_several,
               count(DISTINCT nullif(job_name, '')) > 1 AS is_parallel,
               bool_or(job_name = '' AND job_id IS NOT NULL
                       AND created_at >= coalesce(%(since)s, '-infinity'::timestamptz)) AS lacks_name
        FROM activity_deployment
        WHERE repository_id = %(repository_id)s AND run_id IS NOT NULL
        GROUP BY environment, run_id
    )
    SELECT DISTINCT run_id FROM made
    WHERE lacks_name AND run_id < %(before)s AND has_several <> %(is_alone)s
      AND (has_several OR environment IN (SELECT environment FROM made WHERE is_parallel))
    ORDER BY run_id DESC LIMIT %(limit)s
"""

Wanted = Mapping[int, Sequence[int]]
"""Deployments by the id of the job that made them."""


def read(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> Page:
    """Return the names of the jobs of some runs, the newest first."""
    return _read(request, reader, cursor, limit=RUNS_AT_ONCE, passed_over=REFUSALS)


def skip_item(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> Page:
    """Return the names of the jobs of one run, which is named where they do not come."""
    return _read(request, reader, cursor, limit=1, passed_over=REFUSALS | TOO_MUCH)


def _runs(request: PageRequest, cursor: DeploymentCursor, *, limit: int) -> list[int]:
    asked = {
        "repository_id": request.repository_id,
        "since": request.since,
        "before": BIGGEST_ID if cursor.run_id is None else cursor.run_id,
        "is_alone": cursor.is_alone,
        "limit": limit,
    }
    return [run_id for (run_id,) in db.run(RUNS_WITHOUT_NAMES, asked)]


def _read(
    request: PageRequest,
    reader: Reader,
    cursor: DeploymentCursor,
    *,
    limit: int,
    passed_over: Collection[ResponseKind],
) -> Page:
    runs = _runs(request, cursor, limit=limit)
    if not runs and not cursor.is_alone:
        cursor = cursor.jobs(is_alone=True)
        runs = _runs(request, cursor, limit=limit)
    if not runs:
        return page_of((), request=request, then=None)
    facts, skipped = list[Fact](), list[Skipped]()
    for run_id in runs:
        try:
            facts += _names_in(run_id, request, reader)
        except UnusablePayloadError as error:
            skipped.append(_unnamed(run_id, str(error)))
        except RequestFailedError as unanswered:
            answer = unanswered.answer
            if answer.kind not in passed_over:
                raise
            skipped.append(_unnamed(run_id, answer.message))
            if answer.kind is ResponseKind.FORBIDDEN:  # and so are those of all other runs
                return page_of((), request=request, then=None, facts=facts, skipped=skipped)
    then = cursor.jobs(run_id=runs[-1], is_alone=cursor.is_alone)
    return page_of((), request=request, then=then, facts=facts, skipped=skipped)


def _names_in(run_id: int, request: PageRequest, reader: Reader) -> list[Fact]:
    wanted = _wanted(run_id, request)
    found: dict[int, list[Fact]] = {}
    for answer in _pages(run_id, request, reader):
        for listed in answer.data.get("jobs") or ():
            job = item_reader(listed, path="job", answer=answer)
            if job.id() in wanted:
                made = job_facts(job, deployment_ids=wanted[job.id()], repository_id=request.repository_id)
                found[job.id()] = list(made)
        if found.keys() == wanted.keys():
            break
    return [fact for facts in found.values() for fact in facts]


def _pages(run_id: int, request: PageRequest, reader: Reader) -> Iterator[Answer]:
    """Yield the pages of the jobs of all attempts of a run."""
    path: str | None = f"{request.address}/actions/runs/{run_id}/jobs?filter=all&per_page=100"
    for _ in range(MOST_PAGES):
        if path is None:
            return
        answer = reader.get(path)
        yield answer
        path = answer.next_path


def _wanted(run_id: int, request: PageRequest) -> Wanted:
    here = Deployment.objects.filter(repository_id=request.repository_id, run_id=run_id, job_name="")
    wanted: dict[int, list[int]] = {}
    for job_id, github_id in here.values_list("job_id", "github_id"):
        if job_id is not None:
            wanted.setdefault(job_id, []).append(github_id)
    return wanted


def _unnamed(run_id: int, why: str) -> Skipped:
    return Skipped(what=f"the names of the jobs of workflow run {run_id}", why=why)
