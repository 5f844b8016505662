"""The tools whose part in a pull request is recognised, and how each is recognised."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from apps.teams.account_classes import AGENTS

DETECTOR_VERSION = 1
"""The version of this list and of the rules in `ai_evidence`. Raise RULES_VERSION of the figures with it."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that writes or reviews code.

    `accounts` are logins in lower case, without the suffix `[bot]`, beside those of its agents, which `AGENTS` has;
    `emails` what its commits are signed with; `words` its names in a footer or label; `prefixes` how the branches begin
    that it makes.
    """

    name: str
    accounts: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


TOOLS = (
    Tool(
        name="GitHub Copilot",
        accounts=("copilot-pull-request-reviewer", "github-copilot"),
        words=("copilot", "github copilot"),
        prefixes=("copilot/",),
    ),
    Tool(
        name="Claude",
        emails=("noreply@anthropic.com",),
        words=("claude", "claude code"),
        prefixes=("claude/",),
    ),
    Tool(
        name="Codex",
        accounts=("codex", "chatgpt-codex-connector"),
        emails=("codex@openai.com", "noreply@openai.com"),
        words=("codex", "openai codex", "chatgpt"),
        prefixes=("codex/",),
    ),
    Tool(
        name="Cursor",
        emails=("cursoragent@cursor.com",),
        words=("cursor",),
        prefixes=("cursor/",),
    ),
    Tool(name="Devin", words=("devin",), prefixes=("devin/",)),
    Tool(name="Gemini", accounts=("gemini-code-assist", "gemini-cli"), words=("gemini", "gemini cli")),
    Tool(name="Jules", words=("jules",)),
    Tool(name="Aider", emails=("noreply@aider.chat", "aider@aider.chat"), words=("aider",)),
    Tool(name="Amp", emails=("amp@ampcode.com",)),
    Tool(
        name="OpenHands",
        emails=("openhands@all-hands.dev",),
        words=("openhands",),
        prefixes=("openhands/",),
    ),
    Tool(name="Factory", words=("factory droid",)),
    Tool(name="Codegen"),
    Tool(name="Sweep", prefixes=("sweep/",)),
    Tool(name="Windsurf", words=("windsurf",)),
    Tool(name="Amazon Q", accounts=("amazon-q-developer",), words=("amazon q",)),
    Tool(name="CodeRabbit", accounts=("coderabbitai",)),
    Tool(name="Qodo", accounts=("qodo-merge-pro", "qodo-code-review", "codiumai-pr-agent")),
    Tool(name="Greptile", accounts=("greptile-apps",)),
    Tool(name="Sourcery", accounts=("sourcery-ai",)),
    Tool(name="Ellipsis", accounts=("ellipsis-dev",)),
    Tool(name="Korbit", accounts=("korbit-ai",)),
    Tool(name="Bito", accounts=("bito-code-review",)),
    Tool(name="Cubic", accounts=("cubic-dev-ai",)),
)
UNNAMED = "unnamed"
"""The tool of a line or label that says AI and does not name the tool."""

_ACCOUNTS = {**AGENTS, **{account: tool.name for tool in TOOLS for account in tool.accounts}}
_EMAILS = {email: tool.name for tool in TOOLS for email in tool.emails}
_WORDS = {word: tool.name for tool in TOOLS for word in tool.words} | dict.fromkeys(("ai", "llm"), UNNAMED)
_LONGEST_FIRST = "|".join(re.escape(word) for word in sorted(_WORDS, key=len, reverse=True))
_NAMED = re.compile(rf"(?<![\w.@/-])({_LONGEST_FIRST})(?![\w@])", re.IGNORECASE)
_SIGNED = re.compile(r"[^<>]*<([^<>\s]+)>")
_NO_REPLY = re.compile(r"(?:\d+\+)?([^@+]+)@users\.noreply\.github\.com")


def tool_of_account(login: str) -> str | None:
    """Return the tool that has this account."""
    return _ACCOUNTS.get(login.lower().removesuffix("[bot]"))


def tool_of_signature(value: str) -> str | None:
    """Return the tool that has the e-mail of a signature like `Claude <noreply@anthropic.com>`."""
    signed = _SIGNED.fullmatch(value.strip())
    if signed is None:
        return None
    email = signed[1].lower()
    account = _NO_REPLY.fullmatch(email)
    return tool_of_account(account[1]) if account else _EMAILS.get(email)


def tool_named_in(text: str) -> str | None:
    """Return the first tool that the text names as a word."""
    named = _NAMED.search(text)
    return _WORDS[named[1].lower()] if named else None


def tool_of_branch(name: str) -> str | None:
    """Return the tool whose branches begin like this one."""
    found: Iterator[str] = (tool.name for tool in TOOLS if tool.prefixes and name.startswith(tool.prefixes))
    return next(found, None)


def tool_of_word(word: str) -> str | None:
    """Return the tool that is called by exactly this word; one that is called AI alone is none."""
    tool = _WORDS.get(word.lower())
    return None if tool == UNNAMED else tool
