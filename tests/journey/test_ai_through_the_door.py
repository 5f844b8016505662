"""Pull requests of agents and evidence of AI tools, posted at the door, in any order and with repeats."""

import os

import pytest

from apps.metrics.figures import AI, Asked, Bots, FigureQuery, list_entities, read_figure
from apps.metrics.models import DerivedAIEvidence, DerivedPullRequest
from apps.teams.models import Team, TeamMember
from tests.github.fixture_a import ACME, ANA, BEN, CY, REPOSITORY_ID
from tests.github.fixture_g_agents import fixture_g_agents
from tests.github.translation import Door
from tests.journey.test_fixture_a_through_the_door import all_tables, deliver_shuffled, forget_everything, work_off
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.fixture_a_expectations import HOUR, WEEK, share

pytestmark = pytest.mark.django_db(transaction=True)
ORDERS = int(os.environ.get("PERMUTATIONS", "6"))

EVIDENCE = {
    1: {("authored", "author", "copilot-swe-agent[bot]", "GitHub Copilot", "high")},
    2: {("authored", "author", "devin-ai-integration[bot]", "Devin", "high")},
    4: {
        ("assisted", "trailer", "assisted-by: Claude", "Claude", "high"),
        ("reviewed", "reviewer", "coderabbitai[bot]", "CodeRabbit", "high"),
    },
    5: {
        (
            *("assisted", "description", "generated-with: [Claude Code](https://claude.com/claude-code)"),
            *("Claude", "high"),
        )
    },
    6: {("assisted", "label", "AI-generated", "unnamed", "medium")},
    7: {("assisted", "branch", "codex/cache", "Codex", "low")},
}
HUMANS = {
    "prs_merged": {"value": 6},
    "agent_authored": share(2, 8),
    "ai_assisted": share(4, 6),
    "ai_reviewed": share(1, 6),
}
WITH_AGENTS = {"prs_merged": {"value": 8}, "agent_authored": share(2, 8), "ai_assisted": share(4, 8)}
ONLY_AGENTS = {"prs_merged": {"value": 2}, "cycle_time": {"value": 3 * HOUR, "n": 2}}
WITH_BOTS = {"prs_merged": {"value": 9}, "agent_authored": share(2, 9)}
CHOICES: tuple[tuple[dict[str, Bots], dict[str, dict[str, object]]], ...] = (
    ({}, HUMANS),
    ({"agents": Bots.INCLUDE}, WITH_AGENTS),
    ({"agents": Bots.ONLY}, ONLY_AGENTS),
    ({"bots": Bots.INCLUDE}, WITH_BOTS),
    ({"bots": Bots.INCLUDE, "agents": Bots.EXCLUDE}, {"prs_merged": {"value": 7}, "agent_authored": share(2, 9)}),
    ({"bots": Bots.ONLY}, {"prs_merged": {"value": 3}}),
)
BY_EVIDENCE = {
    AI.AUTHORED: set(),
    AI.ASSISTED: {4, 5, 6, 7},
    AI.REVIEWED: {4},
    AI.ANY: {4, 5, 6, 7},
    AI.NONE: {8, 9},
}


def own_team() -> Team:
    return Team.objects.get(account_id=ACME.id)


def assert_comes_to_its_numbers() -> None:
    rows = {row.number: row for row in DerivedPullRequest.objects.all()}
    assert {number: (row.author_class, row.attributed_to_id) for number, row in rows.items() if number <= 4} == {
        1: ("agent", ANA.id),
        2: ("agent", BEN.id),
        3: ("bot", None),
        4: ("human", None),
    }
    found: dict[int, set[tuple[str, ...]]] = {}
    for number, *piece in DerivedAIEvidence.objects.values_list(
        "number", "kind", "source", "value", "tool", "confidence"
    ):
        found.setdefault(number, set()).add(tuple(piece))
    assert found == EVIDENCE
    for chosen, expected in CHOICES:
        query = FigureQuery(team=own_team(), window=WEEK, **chosen)
        for key, values in expected.items():
            reading = read_figure(key, query).as_dict()
            assert {name: reading[name] for name in values} == values, (chosen, key)


def test_agents_and_evidence_come_to_their_numbers_in_any_order_with_repeats() -> None:
    told = fixture_g_agents()
    Door().deliver(told)
    work_off()
    assert_comes_to_its_numbers()
    expected = all_tables()
    for seed in range(ORDERS):
        forget_everything()
        deliver_shuffled(told, seed=seed)
        assert_comes_to_its_numbers()
        assert all_tables() == expected, f"seed {seed}"
    assert_equals_rebuild()


def test_an_agents_pull_request_counts_for_the_team_of_its_person() -> None:
    Door().deliver(fixture_g_agents())
    work_off()
    opened = {"ana": ({1}, {ANA.id}), "ben": ({2, 4, 7, 9}, {BEN.id}), "cy": ({5, 6, 8}, {CY.id})}
    for name, (numbers, members) in opened.items():
        team = Team.objects.create(name=name, slug=name)
        team.tracked.create(repository_id=REPOSITORY_ID)
        for contributor_id in members:
            TeamMember.objects.create(team=team, contributor_id=contributor_id)
        query = FigureQuery(team=team, window=WEEK, agents=Bots.INCLUDE)
        assert {one.number for one in list_entities("prs_merged", query)} == numbers
        agents = numbers & {1, 2}
        assert {one.number for one in list_entities("agent_authored", query)} == agents
        without = read_figure("prs_merged", FigureQuery(team=team, window=WEEK), asked=Asked(has_exclusions=True))
        assert without.value == len(numbers - agents)
        assert without.excluded == {"bot": 1, "agent": 2, "not_a_member": 6 - len(numbers - agents)}


def test_figures_of_pull_requests_are_read_by_evidence() -> None:
    Door().deliver(fixture_g_agents())
    work_off()
    for key in ("cycle_time", "review_rounds", "time_to_first_review", "prs_opened", "reviews"):
        assert_groups_are_filters(key)
    groups = read_figure("cycle_time", agents_too(), asked=Asked(group_by="ai")).groups or ()
    assert {group.key: group.n for group in groups} == {"authored": 2, "assisted": 4, "reviewed": 1, "": 2}
    for ai, numbers in BY_EVIDENCE.items():
        query = FigureQuery(team=own_team(), window=WEEK, ai=ai)
        assert {one.number for one in list_entities("cycle_time", query)} == numbers


def agents_too(ai: AI | None = None) -> FigureQuery:
    return FigureQuery(team=own_team(), window=WEEK, agents=Bots.INCLUDE, ai=ai)


def assert_groups_are_filters(key: str) -> None:
    groups = {
        group.key or "none": group for group in read_figure(key, agents_too(), asked=Asked(group_by="ai")).groups or ()
    }
    for ai in set(AI) - {AI.ANY}:
        reading = read_figure(key, agents_too(ai))
        assert reading.n == len(list_entities(key, agents_too(ai)))
        assert (reading.n, reading.value) == ((groups[ai].n, groups[ai].value) if reading.n else (0, reading.value))
