"""Texts use the words of the glossary and none of those that it replaced; the words name things that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tests.docs.test_documents import METAPHOR, ROOT

AREAS = (
    *(f"apps/{app}" for app in ("activity", "common", "dashboard", "demo", "github", "integrations", "jobs")),
    *(f"apps/{app}" for app in ("metrics", "monitoring", "notifications", "teams", "users", "webhooks")),
    "tformance",
)
LEFT_OUT = re.compile("/migrations/")
FILES = [path for area in AREAS for path in sorted((ROOT / area).rglob("*.py")) if not LEFT_OUT.search(str(path))]
NAMED = [
    *(path for path in FILES if path.is_relative_to(ROOT / "apps/github") or "apps/integrations" in str(path)),
    *(
        path
        for area in ("delivery_log", "reconciliation")
        for path in sorted((ROOT / "tests/integrations" / area).rglob("*.py"))
    ),
]
TEMPLATES = sorted(path for path in ROOT.glob("apps/*/templates/**/*") if path.suffix in (".html", ".txt"))
MARKUP = re.compile(r"{%.*?%}|{{.*?}}|<[^>]*>", re.DOTALL)
NAME = re.compile(
    r"(^|_)(walk(s|ed|ing)?|told|tells?|errand|roads?|strangers?|owe[sd]?|paid|pay|mend|enrichment|lapsed?|bell|ring|rung"
    r"|shared_memory|letterbox|letter|knock|sweep(s|er|ing)?|swept|is_spread|note_spread|spread_to|spreading|believe[sd]?|judge[sd]?)(_|$)"
)
OPENING = re.compile(r"(Whoever|What|Those|One|Whether|How|Who|Which|Somebody|Nobody)\b")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_no_metaphors_in_its_strings(path: Path) -> None:
    assert METAPHOR.findall("\n".join(strings_in(path))) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_has_no_metaphors(path: Path) -> None:
    assert METAPHOR.findall(MARKUP.sub("", path.read_text())) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_of_a_function_starts_with_a_verb_or_a_noun(path: Path) -> None:
    functions = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))
    assert [text for node in functions if OPENING.match(text := ast.get_docstring(node) or "")] == []


@pytest.mark.parametrize("path", NAMED, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_name_has_no_metaphor(path: Path) -> None:
    assert {name for name in names_in(path) if NAME.search(name.lower())} == set()


def names_in(path: Path) -> Iterator[str]:
    """Yield the names that a module gives: its own, classes, functions, arguments, variables, events and columns."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def strings_in(path: Path) -> Iterator[str]:
    """Yield the strings of a module that have several words: messages, help texts, docstrings and statements."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


GLOSSARY = (Path(__file__).resolve().parents[2] / "docs" / "glossary.md").read_text()
NAMES = re.findall(r"^\| [^|]+ \| [^|]+ \| `([\w.]+)` \|$", GLOSSARY, re.MULTILINE)
WORDS = re.findall(r"^\| ([^|]+) \| ", GLOSSARY, re.MULTILINE)[1:]


@pytest.mark.parametrize("name", NAMES)
def test_a_word_of_the_glossary_has_the_name_it_says(name: str) -> None:
    assert resolve_name(name) is not None


def test_each_word_of_the_glossary_stands_once_with_a_name() -> None:
    assert len(set(WORDS)) == len(WORDS)
    assert len(NAMES) == len(WORDS) >= 30
