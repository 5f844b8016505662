"""The documents stay true: what they point at exists, and what is generated is current."""

import re
from pathlib import Path

import pytest

from apps.metrics.management.commands.describe_figures import page

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
PLACE = re.compile(r"`((?:apps|tests|tformance|deploy|benchmarks|docs|requirements)/[\w./*-]*)`")
TEST_NAME = re.compile(r"`(test_\w+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_points_at_exists(document):
    text = document.read_text()
    missing = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    missing += [place for place in PLACE.findall(text) if not list(ROOT.glob(place.rstrip("/")))]
    assert missing == []


def test_every_test_that_a_guarantee_names_exists():
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = {name for document in DOCUMENTS for name in TEST_NAME.findall(document.read_text())}
    assert {name for name in named if f"def {name}(" not in source} == set()


def test_the_page_of_figures_is_what_the_registry_says():
    assert (ROOT / "docs" / "figures.md").read_text() == page(), (
        "write it anew: manage.py describe_figures > docs/figures.md"
    )


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
