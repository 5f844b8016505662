"""Classes of accounts: humans, agents that write pull requests for somebody, and all other bots."""

from collections.abc import Iterable, Mapping

LIST_VERSION = 1
"""The version of the two lists below. Raise RULES_VERSION of the figures with it: rows are derived anew then."""

AGENTS: Mapping[str, str] = {
    "copilot": "GitHub Copilot",
    "copilot-swe-agent": "GitHub Copilot",
    "claude": "Claude",
    "codegen-sh": "Codegen",
    "cursor": "Cursor",
    "cursoragent": "Cursor",
    "devin-ai-integration": "Devin",
    "factory-droid": "Factory",
    "google-labs-jules": "Jules",
    "openai-codex": "Codex",
    "openhands-agent": "OpenHands",
    "sweep-ai": "Sweep",
}
"""The tools of coding agents by their logins, in lower case, without the suffix `[bot]` that some have in one place and
not in another."""

ROBOTS = (
    "allcontributors",
    "claassistant",
    "codecov-commenter",
    "codecov-io",
    "coveralls",
    "greenkeeperio",
    "k8s-ci-robot",
    "pyup-bot",
    "snyk-bot",
    "tensorflow-copybara",
    "tensorflower-gardener",
    "transifex-integration",
    "weblate",
)
"""Logins of robots whose account is a user's; besides these, logins that end in `-bot` or `-robot` are robots."""

ROBOT_ENDING = r"[-_](bot|robot)$"


def quoted_logins(logins: Iterable[str]) -> str:
    return ", ".join(f"'{login}'" for login in logins)


def class_of(*, login: str, kind: str, rule: str) -> str:
    """Return the SQL expression of an account's class: that of a rule for the account, else of the lists and its kind.

    The arguments are expressions of the account's login and GitHub's kind of it, and of the rule's class.
    """
    name = f"regexp_replace(lower({login}), '\\[bot\\]$', '')"
    return f"""
        coalesce({rule}, CASE
            WHEN {name} IN ({quoted_logins(AGENTS)}) THEN 'agent'
            WHEN {kind} = 'bot' OR {login} LIKE '%%[bot]' OR {name} IN ({quoted_logins(ROBOTS)})
              OR ({kind} = 'user' AND {name} ~ '{ROBOT_ENDING}') THEN 'bot'
            ELSE 'human'
        END)
    """
