"""The structure of the code stays as it was made: what was counted once must not grow back."""

import ast
import re
from collections import Counter

import pytest
from django.apps import apps

from tests.docs.test_documents import ROOT
from tformance.celery import app

PATHS = [
    path.relative_to(ROOT)
    for folder in ("apps", "tformance")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts and path.read_text().strip()
]
SOURCES = {path: (ROOT / path).read_text() for path in PATHS}
TREES = {path: ast.parse(source) for path, source in SOURCES.items()}
REPEATED_FOLDERS = {"commands", "api", "admin", "models", "facts", "streams", "events", "objects"}
DJANGO_FILES = {"models.py", "admin.py", "apps.py", "urls.py", "tasks.py", "views.py", "serializers.py", "checks.py"}
TERMS_OF_THE_FIELD = {"bookkeeping.py", "formatting.py", "merging.py", "paging.py", "parsing.py"}
LONGEST_FILE, LONGEST_FUNCTION = 450, 42
DURABLE_WORK = {"webhooks.Delivery", "jobs.Job"}


@pytest.mark.parametrize("name", sorted({path.parts[1] for path in PATHS if path.parts[0] == "apps"}))
def test_no_two_files_of_an_app_have_one_name(name: str) -> None:
    files = [path for path in PATHS if path.parts[:2] == ("apps", name) and not REPEATED_FOLDERS & set(path.parts)]
    counts = Counter(path.name for path in files if path.name not in DJANGO_FILES | {"__init__.py"})
    assert [file for file, times in counts.items() if times > 1] == []


def test_a_file_is_named_by_a_noun() -> None:
    gerunds = [path for path in PATHS if path.name.endswith("ing.py") and path.name not in TERMS_OF_THE_FIELD]
    assert [str(path) for path in gerunds] == []


def test_a_file_is_short_enough_to_be_read() -> None:
    lengths = {str(path): source.count("\n") for path, source in SOURCES.items()}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_a_function_is_short_enough_to_be_understood() -> None:
    functions = ((path, node) for path, tree in TREES.items() for node in ast.walk(tree))
    too_long = [
        f"{path}: {node.name}"
        for path, node in functions
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert too_long == []


def test_durable_work_is_implemented_twice() -> None:
    """Deliveries and jobs: what else has to survive a crash is a job."""
    with_a_lease = {
        model._meta.label
        for model in apps.get_models()
        if any(field.name == "lease_until" for field in model._meta.local_fields)
    }
    assert with_a_lease == DURABLE_WORK


def test_rows_are_claimed_in_few_places() -> None:
    claiming = [str(path) for path, source in SOURCES.items() if re.search("skip.locked", source, re.IGNORECASE)]
    assert len(claiming) <= 4, claiming


def test_there_are_few_tasks() -> None:
    app.loader.import_default_modules()
    own = [name for name in app.tasks if name.startswith("apps.")]
    assert len(own) <= 20, sorted(own)


def test_imports_are_a_small_part_of_the_code() -> None:
    """Count all but the pages: each of them is short, and names what it shows."""
    paths = [path for path in PATHS if path.parts[1] != "dashboard"]
    imported = sum(
        (node.end_lineno or 0) - node.lineno + 1
        for path in paths
        for node in TREES[path].body
        if isinstance(node, ast.Import | ast.ImportFrom)
    )
    lines = sum(SOURCES[path].count("\n") for path in paths)
    assert imported / lines <= 0.083


def test_there_are_not_many_files() -> None:
    """Count all but the sample data and the pages, each of which has a file of its own."""
    assert len([path for path in PATHS if path.parts[1] not in ("demo", "dashboard")]) <= 360
