"""What holds for each stream that is read list by list, on a repository where everything looks a little different."""

import random
from datetime import datetime
from typing import Any

import pytest

from apps.activity.record import record
from apps.demo.shapes import Json
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.reader import RequestFailedError
from apps.integrations.streams import STREAM_NAMES
from tests.activity.tables import clear, contents
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.generated import Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.github.translation import evidence_of
from tests.integrations.streams.samples import SAMPLES, Sample
from tests.integrations.streams.stream_read import StreamRead, rows, skipped
from tests.integrations.streams.varied_repository import VariedRepository, hide
from tests.integrations.true_rows import true_rows

pytestmark = pytest.mark.django_db
BY_NAME = {sample.stream: sample for sample in SAMPLES}
REST = tuple(sample for sample in SAMPLES if sample.stream.endswith("_comments"))
GRAPHQL = tuple(sample for sample in SAMPLES if sample not in REST)
PATHS = {"issue_comments": "/issues/comments", "review_comments": "/pulls/comments"}


def each(samples: tuple[Sample, ...] = SAMPLES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sample", samples, ids=lambda sample: sample.stream)


def shared(sample: Sample) -> set[str]:
    """The rows, as far as webhooks and pages both fill them."""
    return {repr([row[name] for name in sample.shared or row]) for row in rows(sample.model)}


def hide_item(fake: FakeGitHub, web: VariedRepository, sample: Sample) -> None:
    path = f"/repositories/{WEB}{PATHS[sample.stream]}" if sample in REST else "/graphql"
    fake.spoil(hide(sample.words.format(**sample.item(web)), of_path=path))


def rows_without_item(web: VariedRepository, sample: Sample) -> list[dict[str, Any]]:
    item = sample.item(web)
    identity = item["id"]
    return [row for row in true_rows(sample.model, web.truth) if identity not in {row.get("github_id"), row.get("sha")}]


@each()
def test_rows_are_as_on_github_field_by_field(web: VariedRepository, worker: GitHubAccess, sample: Sample) -> None:
    pages = StreamRead.of_web(sample.stream, worker).into_empty_tables()
    assert rows(sample.model) == true_rows(sample.model, web.truth)
    assert [(page.items, page.cursor) for page in pages] == [(sample.total, None)]
    assert {page.total for page in pages} == {None if sample in REST else sample.total}
    assert not skipped(pages)


@pytest.mark.parametrize(
    "sample",
    [pytest.param(one, id=one.stream, marks=[pytest.mark.proof] * (one.stream == "issues")) for one in SAMPLES],
)
def test_webhooks_and_pages_merge_to_the_same_rows_in_any_mixture(
    web: VariedRepository, worker: GitHubAccess, sample: Sample
) -> None:
    hooks = evidence_of(sent for sent in web.hooks if sample.hooks(sent))
    stream = StreamRead.of_web(sample.stream, worker, size=sample.size)
    pages = stream.evidence(stream.pages())
    record(hooks)
    by_webhook = shared(sample)
    clear()
    record(pages)
    assert shared(sample) <= by_webhook
    assert rows(sample.model) == true_rows(sample.model, web.truth)
    clear()
    record([*hooks, *pages])
    expected = contents()
    chance = random.Random(4)  # noqa: S311  the same mixtures every time
    for _ in range(5):
        clear()
        for piece in chance.sample([*hooks, *pages], k=len(hooks) + len(pages)):
            record([piece])
        assert contents() == expected
        assert shared(sample) == by_webhook


@each()
def test_reading_that_goes_on_from_any_of_its_cursors_ends_in_the_same_rows(
    web: VariedRepository, worker: GitHubAccess, sample: Sample
) -> None:
    stream = StreamRead.of_web(sample.stream, worker, size=sample.size)
    pages = stream.into_empty_tables()
    assert len(pages) == sample.pages
    for read, page in enumerate(pages[:-1], start=1):
        clear()
        record(stream.evidence([*pages[:read], *stream.pages(page.cursor)]))
        assert rows(sample.model) == true_rows(sample.model, web.truth)


@pytest.mark.parametrize(
    "sample",
    [pytest.param(one, id=one.stream, marks=[pytest.mark.proof] * (one.stream == "issues")) for one in SAMPLES],
)
def test_a_thousand_cost_ten_points_of_graphql_or_eleven_calls_of_rest(
    fake: FakeGitHub, worker: GitHubAccess, sample: Sample
) -> None:
    """Of a REST list, the last item of a page comes again on the next."""
    sample.make_thousand(fake.world)
    assert sum(page.items for page in StreamRead.of_web(sample.stream, worker).pages()) == 1000
    costs = [call.cost for call in fake.calls("graphql")], len(fake.calls("core", payer=ACME))
    assert costs == (([], 11) if sample in REST else ([1] * 10, 0))


@each(GRAPHQL)
def test_an_item_that_no_page_can_show_is_read_alone(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess, sample: Sample
) -> None:
    hide_item(fake, web, sample)
    history = StreamRead.of_web(sample.stream, worker, size=4).patiently()
    assert rows(sample.model) == true_rows(sample.model, web.truth)
    assert not history.skipped


@each()
def test_an_item_that_cannot_be_read_alone_either_is_named_and_its_neighbours_are_kept(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess, sample: Sample
) -> None:
    code, message = sample.refusal
    refusal = faults.status(code) if code == 502 else faults.status(code, {"message": message})
    hide_item(fake, web, sample)
    fake.spoil(Fault(refusal, faults.below(f"/repositories/{WEB}{sample.alone or '/nothing'}"), times=None))
    (missed,) = StreamRead.of_web(sample.stream, worker, size=4).patiently().skipped
    named = f"{sample.noun} {sample.item(web)[sample.key]}"
    assert missed.what == named or (sample in REST and missed.what.startswith(sample.noun))
    assert missed.why == message
    assert rows(sample.model) == rows_without_item(web, sample)


@pytest.mark.parametrize(
    ("stream", "change", "why"),
    [
        ("issues", {"created_at": "9999-01-01T00:00:00Z"}, "issue.created_at is a time that has not come"),
        ("releases", {"created_at": "9999-01-01T00:00:00Z"}, "release.created_at is a time that has not come"),
        ("commits", {"id": "no sha"}, "commit"),
        ("issue_comments", {"created_at": "9999-01-01T00:00:00Z"}, "created_at is a time that has not come"),
        ("issue_comments", {"updated_at": "2026-01-01T00:00:00"}, "issue_comment.updated_at is not a time"),
        ("issue_comments", {"html_url": "https://github.com/acme/web"}, "is not the address of a comment"),
        ("issue_comments", {"html_url": "https://github.com/acme/web/pull/9999999999#issuecomment-1"}, "out of range"),
        ("review_comments", {"pull_request_url": "https://api.github.com/repos/acme/web"}, "is not the address of a"),
        ("review_comments", {"created_at": None}, "created_at"),
        ("review_comments", {"id": "x"}, "id"),
    ],
)
def test_an_item_whose_shape_cannot_be_used_is_named_and_its_neighbours_are_kept(
    web: VariedRepository, worker: GitHubAccess, stream: str, change: Json, why: str
) -> None:
    sample = BY_NAME[stream]
    expected = rows_without_item(web, sample)
    item = sample.item(web)
    item |= change
    (missed,) = skipped(StreamRead.of_web(stream, worker).into_empty_tables())
    assert missed.what == f"{sample.noun} {item[sample.key]}"
    assert why in missed.why
    assert rows(sample.model) == expected


@pytest.mark.parametrize("stream", STREAM_NAMES)
def test_nothing_is_skipped_while_github_fails_altogether(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess, stream: str
) -> None:
    fake.spoil(Fault(faults.status(502), lambda asked: True, times=None))
    with pytest.raises(RequestFailedError):
        StreamRead.of_web(stream, worker, since=datetime.fromisoformat("2026-03-01T00:00:00Z")).read()


@each(GRAPHQL)
def test_nothing_is_skipped_while_rest_fails_altogether(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess, sample: Sample
) -> None:
    fake.spoil(Fault(faults.status(502), faults.rest, times=None))
    with pytest.raises(RequestFailedError):
        StreamRead.of_web(sample.stream, worker).skip_item()


@each()
def test_a_name_that_another_repository_has_by_now_is_not_read(
    fake: FakeGitHub, web: VariedRepository, worker: GitHubAccess, sample: Sample
) -> None:
    """REST is asked by the repository's id."""
    fake.world.rename(web.truth, "acme/former")
    size = Size(pull_requests=0, issues=3, releases=3)
    fake.world.add("web", installation_id=ACME, repository_id=13, size=size)
    stream = StreamRead.of_web(sample.stream, worker)
    if sample in REST:
        stream.into_empty_tables()
        assert rows(sample.model) == true_rows(sample.model, web.truth)
        return
    with pytest.raises(RequestFailedError) as refused:
        stream.read()
    assert refused.value.answer.kind is ResponseKind.GONE
