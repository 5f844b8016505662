"""What counts as evidence of a tool, and to whom the pull request of an agent is attributed."""

from itertools import permutations
from typing import Any

import pytest

from apps.activity import facts
from apps.metrics.derivation.ai_evidence import Reviewer, Signs, evidence_of
from apps.metrics.derivation.ai_tools import TOOLS, tool_of_account
from apps.metrics.derivation.commits import TrailerLine
from apps.metrics.models import DerivedPullRequest
from apps.metrics.recalculation import drain
from apps.teams.account_classes import AGENTS
from apps.teams.models import AccountRule
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import API, PullRequestSteps, instant, person, profile, record_facts, record_steps, stamp

NOTHING: dict[str, Any] = {
    "author_login": "ana",
    "author_class": "human",
    "head_ref": "ana/sort",
    "body": "",
    "labels": (),
    "lines": (),
    "reviewers": (),
}


def trailer(text: str) -> dict[str, Any]:
    return {"lines": [TrailerLine("b2", text), TrailerLine("a1", text)]}


def reviewed(login: str, account_class: str) -> dict[str, Any]:
    return {"reviewers": [Reviewer(login, account_class)]}


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ({}, None),
        (trailer("co-authored-by: Claude <noreply@anthropic.com>"), "assisted Claude high a1"),
        (trailer("co-authored-by: Copilot <198982749+Copilot@users.noreply.github.com>"), "GitHub Copilot"),
        (trailer("co-authored-by: Devin <158243242+devin-ai-integration[bot]@users.noreply.github.com>"), "Devin"),
        (trailer("co-authored-by: aider (model) <noreply@aider.chat>"), "Aider"),
        (trailer("assisted-by: Claude:some-model"), "Claude high"),
        (trailer("generated-by: an LLM"), "unnamed medium"),
        (trailer("generated-with: [Claude Code](https://claude.com/claude-code)"), "Claude"),
        (trailer("co-authored-by: Claude Monet <claude@example.com>"), None),
        (trailer("co-authored-by: Ben <2+ben@users.noreply.github.com>"), None),
        (trailer("reviewed-by: Claude <noreply@anthropic.com>"), None),
        (trailer("generated-with: protoc-gen-ai 1.2"), None),
        (trailer("generated-by: https://example.com/ai/"), None),
        ({"body": "Sorts.\n\nGenerated with Codex"}, "assisted Codex high"),
        ({"body": "This was not made by Claude."}, None),
        ({"labels": ["bug", "AI assisted"]}, "assisted unnamed medium"),
        ({"labels": ["generated-by: Cursor"]}, "Cursor medium"),
        ({"labels": ["codex"]}, "Codex medium"),
        ({"labels": ["ai", "area: copilot", "ai-platform"]}, None),
        ({"head_ref": "copilot/fix-1"}, "assisted GitHub Copilot low"),
        ({"head_ref": "fix/claude/1"}, None),
        ({"author_class": "agent", "author_login": "Copilot", "head_ref": "copilot/1"}, "authored GitHub Copilot high"),
        ({"author_class": "agent", "author_login": "somebody"}, "authored unnamed high"),
        (reviewed("coderabbitai[bot]", "bot"), "reviewed CodeRabbit high"),
        (reviewed("Copilot", "agent"), "reviewed GitHub Copilot high"),
        (reviewed("codecov[bot]", "bot"), None),
        (reviewed("claude", "human"), None),
    ],
)
def test_the_signs_of_tools(signs: dict[str, Any], expected: str | None) -> None:
    found = evidence_of(Signs(**NOTHING | signs))
    assert len(found) == (0 if expected is None else 1)
    assert all((expected or "") in f"{one.kind} {one.tool} {one.confidence} {one.sha}" for one in found)


def test_every_agent_is_of_a_known_tool_and_is_named_in_one_place() -> None:
    assert set(AGENTS.values()) <= {tool.name for tool in TOOLS}
    assert {login: tool_of_account(f"{login}[bot]") for login in AGENTS} == AGENTS
    assert not AGENTS.keys() & {account for tool in TOOLS for account in tool.accounts}


def assigned(*logins: str, at: str) -> tuple[facts.Fact, ...]:
    people = tuple(person(login) for login in logins)
    group = facts.PullRequestAssignees(stamp=stamp(instant(at)), repository_id=API, number=1, assignee_ids=people)
    return group, *map(profile, logins)


def attributed_to() -> int | None:
    found: int | None = DerivedPullRequest.objects.values_list("attributed_to", flat=True).get()
    return found


@pytest.mark.django_db
def test_an_agents_pull_request_is_the_first_assigned_persons_in_any_order() -> None:
    opened = PullRequestSteps(1, "copilot-swe-agent[bot]").opened("03-02 10:00")
    asked = facts.PullRequestHappened(
        repository_id=API,
        number=1,
        kind="review_requested",
        subject="2",
        at=instant("03-02 11:00"),
        source="webhook",
        actor_id=person("cy"),
    )
    steps = [
        *opened.steps,
        (asked, profile("cy")),
        assigned("ana", at="03-02 12:00"),
        assigned("dependabot[bot]", "ben", "ana", at="03-02 13:00"),
    ]
    for order in permutations(steps):
        for step in order:
            record_facts(*step)
            assert drain(seconds=60)
        assert attributed_to() == person("ben")
    for login, account_class in (("ben", "bot"), ("dependabot[bot]", "human"), ("ana", "agent")):
        AccountRule.objects.create(contributor_id=person(login), account_class=account_class)
        assert drain(seconds=60)
        expected = {"ben": "ana", "dependabot[bot]": "dependabot[bot]", "ana": "dependabot[bot]"}[login]
        assert attributed_to() == person(expected)
        assert_equals_rebuild()
    record_steps([assigned(at="03-02 14:00")])
    assert attributed_to() == person("cy")
    AccountRule.objects.create(contributor_id=person("cy"), account_class="bot")
    assert drain(seconds=60)
    assert attributed_to() is None
    assert_equals_rebuild()
