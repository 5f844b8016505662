"""Texts use the words of the glossary and none of those that it replaced; the words name things that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tests.docs.test_documents import METAPHOR, ROOT

AREAS = (
    *(f"apps/{app}" for app in ("activity", "common", "dashboard", "demo", "github", "jobs", "metrics", "monitoring")),
    *(f"apps/{app}" for app in ("notifications", "teams", "users", "webhooks")),
    "tformance",
)
LEFT_OUT = re.compile("/migrations/|github/events/|github/objects/")
FILES = [path for area in AREAS for path in sorted((ROOT / area).rglob("*.py")) if not LEFT_OUT.search(str(path))]
TEMPLATES = sorted(path for path in ROOT.glob("apps/*/templates/**/*") if path.suffix in (".html", ".txt"))
MARKUP = re.compile(r"{%.*?%}|{{.*?}}|<[^>]*>", re.DOTALL)
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
