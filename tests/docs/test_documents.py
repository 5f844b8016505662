"""Documents, words, safeties and what the App needs stay true to the code."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from pkgutil import resolve_name

import pytest

from apps.demo.shapes import accounts
from apps.github.permissions import (
    ALWAYS_SENT,
    MEMBER_EVENTS,
    OF_ORGANIZATIONS,
    PERMISSIONS,
    lack_of,
    listed,
    needed_events,
)
from apps.metrics.management.commands.describe_figures import page
from apps.webhooks.models import Delivery
from benchmarks import results
from tests.engines import WEBHOOK_SECRET
from tests.mutations import MUTATIONS
from tformance.celery import app
from tformance.local.state import CHECKOUT

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
PLACE = re.compile(r"`((?:apps|tests|tformance|deploy|benchmarks|docs|requirements)/[\w./*-]*)`")
MODULES_WITH_PROBLEMS = (
    "apps/monitoring/status.py",
    "apps/integrations/work_problems.py",
)
WORD = re.compile(r'(?:(?:problems|found)\[|return \{)"(\w+)"|"(\w+)": probe_')
TEST_NAME = re.compile(r"`(test_\w+)`")
CODE = re.compile(r"^```.*?^```|`[^`]*`", re.DOTALL | re.MULTILINE)
METAPHOR = re.compile(
    r"\b(letterbox|doorbell|bells?|rings?|rung|walk(?:s|ed|ing)?|tells?|told|mend(?:s|ed)?|knock|errand|in vain"
    r"|sweep(?:s|ing)?|doors?|judge[sd]?|whoever|provable|strangers?|roads|lapse[sd]?|owe[sd]?|enrichment)\b"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_points_at_exists(document):
    text = document.read_text()
    missing = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    missing += [place for place in PLACE.findall(text) if not list(ROOT.glob(place.rstrip("/")))]
    assert missing == []


def test_no_document_has_a_metaphor_outside_of_code():
    assert found_in(DOCUMENTS, lambda path: METAPHOR.findall(CODE.sub("", path.read_text()))) == {}


def test_each_worked_example_counts_the_files_it_names():
    text = (ROOT / "docs" / "contributing.md").read_text().partition("## Worked examples")[2]
    examples = [section for section in re.split(r"^###? ", text, flags=re.MULTILINE) if re.search(r"\d files", section)]
    assert len(examples) == 5
    for section in examples:
        named = "".join(item.partition(":")[0] for item in re.findall(r"^\d+\. .*", section, re.MULTILINE))
        assert f" {named.count('`') // 2} files" in section


def test_every_test_that_a_guarantee_names_exists():
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = {name for document in DOCUMENTS for name in TEST_NAME.findall(document.read_text())}
    assert {name for name in named if f"def {name}(" not in source} == set()


def test_the_operations_guide_names_every_task():
    app.loader.import_default_modules()
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert {name for name in app.tasks if name.startswith("apps.") and name.rpartition(".")[2] not in named} == set()


def test_the_operations_guide_explains_every_problem_of_the_status_check():
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text()))
    words = {"".join(found) for module in MODULES_WITH_PROBLEMS for found in WORD.findall((ROOT / module).read_text())}
    assert len(words) > 12
    assert words - named == set()


def test_the_page_of_figures_is_what_the_registry_says():
    assert (ROOT / "docs" / "figures.md").read_text() == page(), (
        "write it anew: manage.py describe_figures > docs/figures.md"
    )


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("curl")), reason="about openssl and curl")
@pytest.mark.django_db(transaction=True)
def test_the_delivery_of_ones_own_is_accepted(live_server, tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL | re.MULTILINE)
    (script,) = (block for block in blocks if "openssl" in block)
    (tmp_path / "var").mkdir()
    secrets = json.dumps({"GITHUB_WEBHOOK_SECRETS": f"{WEBHOOK_SECRET},an-older-secret-of-this-app"})
    (tmp_path / "var" / "secrets.json").write_text(secrets)
    script = script.replace("http://127.0.0.1:8000", live_server.url)
    answer = subprocess.run(["sh", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("HTTP/1.1 202"), answer.stdout
    assert Delivery.objects.get().event == "ping"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_table_of_the_benchmarks_is_written_by_them():
    text = results.DOCUMENT.read_text()
    table = results.as_document(json.loads(results.FIGURES.read_text()))
    assert f"<!-- table of the benchmarks -->\n{table}<!-- end of the table -->" in text
    assert len(table.splitlines()) > 10


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


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def found_in(paths: Iterable[Path], find: Callable[[Path], Collection[str]]) -> dict[str, Collection[str]]:
    """Return what is found, by the files that have it."""
    return {str(path.relative_to(ROOT)): found for path in paths if (found := find(path))}


def test_no_module_has_a_metaphor_in_its_strings() -> None:
    assert len(FILES) > 400
    assert found_in(FILES, lambda path: METAPHOR.findall("\n".join(strings_in(path)))) == {}


def test_no_template_has_a_metaphor() -> None:
    assert len(TEMPLATES) > 50
    assert found_in(TEMPLATES, lambda path: METAPHOR.findall(MARKUP.sub("", path.read_text()))) == {}


def test_the_docstring_of_a_function_starts_with_a_verb_or_a_noun() -> None:
    def wrong(path: Path) -> list[str]:
        functions = (node for node in nodes_of(path) if isinstance(node, ast.FunctionDef))
        return [text for node in functions if OPENING.match(text := ast.get_docstring(node) or "")]

    assert found_in(FILES, wrong) == {}


def test_no_name_is_a_metaphor() -> None:
    assert len(NAMED) > 100
    assert found_in(NAMED, lambda path: {name for name in names_in(path) if NAME.search(name.lower())}) == {}


def names_in(path: Path) -> Iterator[str]:
    """Yield the names that a module gives: its own, classes, functions, arguments, variables, events and columns."""
    yield path.stem
    for node in nodes_of(path):
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
    for node in nodes_of(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


GLOSSARY = (Path(__file__).resolve().parents[2] / "docs" / "glossary.md").read_text()
NAMES = re.findall(r"^\| [^|]+ \| [^|]+ \| `([\w.]+)` \|$", GLOSSARY, re.MULTILINE)
WORDS = re.findall(r"^\| ([^|]+) \| ", GLOSSARY, re.MULTILINE)[1:]


def test_each_word_of_the_glossary_stands_once_with_a_name_that_exists() -> None:
    assert all(resolve_name(name) is not None for name in NAMES)
    assert len(set(WORDS)) == len(WORDS)
    assert len(NAMES) == len(WORDS) >= 30


def test_every_safety_is_in_the_code_once_and_so_is_its_test() -> None:
    assert len(MUTATIONS) > 300
    for one in MUTATIONS:
        assert one.changes, one.safety
        for path, text in one.changed_files(CHECKOUT).items():
            assert text != (CHECKOUT / path).read_text(), one.safety
            if path.endswith(".py"):
                ast.parse(text)
        assert one.test_id(CHECKOUT), one.safety


def test_no_two_safeties_have_the_same_name() -> None:
    assert len({one.safety for one in MUTATIONS}) == len(MUTATIONS)


OPERATIONS = " ".join((ROOT / "docs" / "operations.md").read_text().split())


def named(label: str) -> set[str]:
    [words] = re.findall(rf"\*\*{label}\*\*[^:]*: ([^.]*)\.", OPERATIONS)
    return set(words.split(", "))


def test_the_guide_names_the_permissions() -> None:
    of_repositories = set(PERMISSIONS) - OF_ORGANIZATIONS
    assert named("Repository permissions") == set(listed(of_repositories).split(", "))
    assert named("Organization permissions") == set(listed(OF_ORGANIZATIONS).split(", "))
    assert set(PERMISSIONS.values()) == {"read"}


def test_the_guide_names_the_events_that_are_handled() -> None:
    assert named("Events") == set(listed(needed_events()).split(", "))


def test_the_demonstration_lacks_nothing() -> None:
    assert set(accounts.PERMISSIONS) == set(PERMISSIONS)
    assert set(accounts.EVENTS) == needed_events()


def test_what_is_sent_unasked_is_no_event_to_subscribe_to() -> None:
    assert not needed_events() & ALWAYS_SENT
    assert needed_events() >= MEMBER_EVENTS


def test_more_than_reading_is_enough_and_less_is_not() -> None:
    assert not lack_of(dict.fromkeys(PERMISSIONS, "write"), needed_events())
    lack = lack_of({**PERMISSIONS, "issues": "none"}, needed_events() - {"push"})
    assert (lack.permissions, lack.events, str(lack)) == (("issues",), ("push",), "permission Issues; event Push")
